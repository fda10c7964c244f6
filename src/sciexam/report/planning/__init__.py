"""What `plan` says of an exam that is still to be sat."""
