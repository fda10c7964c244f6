"""The numbers of a figure in words: what stands in its place where it cannot be seen."""

from __future__ import annotations

from collections.abc import Iterable

from sciexam.report.plain_text import one_line
from sciexam.stats import Estimate, Undefined


def said(figure: Estimate | Undefined) -> str:
    """An estimate with its interval, or why there is none."""
    if isinstance(figure, Undefined):
        return f"no figure, because {figure.why}"
    return f"{figure.value:.2f}, from {figure.low:.2f} to {figure.high:.2f}"


def sentences(parts: Iterable[str]) -> tuple[str, ...]:
    """Each part as a sentence on one line."""
    return tuple(f"{one_line(part).rstrip('.')}." for part in parts)
