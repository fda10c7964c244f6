"""What `validate` finds: a judge held against people."""
