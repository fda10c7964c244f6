"""What `agree` finds: how far raters agree."""
