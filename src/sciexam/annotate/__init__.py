"""Blind annotation by people: a queue of what there is to judge, the pages that show it, and what comes of it.

`queue` says what is judged, `assignment` who is shown what next, `desk` keeps what annotators do in the ledger; `app`
and `owner` are the pages over it, and `serving` says who is invited to them. Nothing that is sent to an annotator
tells whose a text is.
"""
