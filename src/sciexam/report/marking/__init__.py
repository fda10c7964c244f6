"""What `grade` and `reward` find: answers that were marked one by one."""
