"""Pages that are served: who may ask and how much (`guard`), for how long (`patience`), and where (`serving`)."""
