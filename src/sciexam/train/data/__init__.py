"""What stages learn from: demonstrations and preferences, of files, or of candidates that somebody has judged."""
