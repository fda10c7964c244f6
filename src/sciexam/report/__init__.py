"""What was found: counted from facts, and said alike on a terminal, in Markdown, on a page and in JSON."""
