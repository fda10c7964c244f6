"""Text that was written as text, in a page of Markdown."""

from __future__ import annotations


def escaped(text: str) -> str:
    """What looks like markup in it is none; backticks mean code here as there, and indented lines stay as they are."""
    return "\n".join(line if line.startswith("    ") else _escaped(line) for line in text.split("\n"))


def cell(text: str) -> str:
    """As a cell of a table."""
    return _escaped(" ".join(text.split())).replace("|", "\\|")


def code(text: str) -> str:
    """As code in a cell of a table."""
    return f"`{text}`".replace("|", "\\|")


def _escaped(line: str) -> str:
    parts = line.split("`")
    for mark in "*_[<":
        parts[::2] = [part.replace(mark, f"\\{mark}") for part in parts[::2]]
    return "`".join(parts)
