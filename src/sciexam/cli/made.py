"""What the commands print that make data: counts with their nouns, reasons with their counts, one line each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

SHOWN = 12  # reasons of a list


def show(lines: Iterable[str]) -> None:
    """Print lines that may hold what a file or a model said; the blanks that a line begins with are ours."""
    from sciexam.report.plain_text import one_line

    for line in lines:
        print(" " * (len(line) - len(line.lstrip())) + one_line(line))


def counted(count: int, noun: str) -> str:
    """`1 prompt`, `2,000 prompts`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def reasons(what: str, counts: Mapping[str, int]) -> Iterator[str]:
    """A heading, and how many for which reason; nothing where there are none."""
    if counts:
        yield f"{what}:"
    yield from (f"  {count:>9,}  {why[:200]}" for why, count in list(counts.items())[:SHOWN])
    if rest := list(counts.values())[SHOWN:]:
        yield f"  {sum(rest):>9,}  for {counted(len(rest), 'more reason')}, in provenance.json"


def folder(path: str, files: Mapping[str, int] | None, what: Mapping[str, str]) -> Iterator[str]:
    """The files of a folder with their lines, and what each is for. None: no model replied, and nothing was written."""
    if files is None:
        yield f"{path}: not written, for no reply came back"
    else:
        yield f"{path}:"
        yield from (f"  {lines:>9,}  {name}: {what[name]}" for name, lines in files.items())
