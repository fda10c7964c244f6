"""Measure the coverage of every interval by simulation and write docs/coverage.md.

    python benchmarks/coverage.py --runs 10000 --seed 0
    python benchmarks/coverage.py --only win_rate

A family of statistics is a file in this folder with `section(runs, seed)`, which yields Markdown lines; each family is
one process, as many at once as there are cores. `--only` measures some families anew and keeps the others' sections.
Exits 1 if an interval of a win rate covers less than 94 % in any cell, or if a family fails.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path

FLOOR = 0.94
HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "coverage.md"
FAMILIES = {
    "win_rate": "coverage_win_rate",
    "agreement": "coverage_agreement",
    "ratings": "coverage_ratings",
    "length": "coverage_length",
    "rewards": "coverage_rewards",
    "predicted": "coverage_predicted",
    "permutation": "permutation",
    "sequential": "sequential",
}
MARK = re.compile(r"^<!-- family (\w+): (.*) -->$", re.MULTILINE)

HEAD = """\
# Coverage

How often the intervals hold the true value, measured on simulated data whose true value is known. Made by
`python benchmarks/coverage.py`, which measures the shipped code; `--only FAMILY` measures one section anew, and
`benchmarks/` has a file for each. A nominal 95 % is meant unless a section says otherwise, and a coverage below .94 is
in bold. With 10,000 data sets a cell, a coverage of .95 is known to about +-.004.

The cells of a family are the rows of its tables with a column named coverage; other families measure other things."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000, help="data sets in a cell (default: 10000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", metavar="FAMILY", action="append", choices=FAMILIES, help=", ".join(FAMILIES))
    parser.add_argument("--page", type=Path, default=PAGE, help="the file to write (default: docs/coverage.md)")
    options = parser.parse_args(arguments)
    families = options.only or list(FAMILIES)
    missing = [FAMILIES[family] for family in families if not (HERE / f"{FAMILIES[family]}.py").is_file()]
    if missing:
        parser.error(f"not in {HERE}: {', '.join(f'{name}.py' for name in missing)}")

    made = f"{options.runs:,} runs, seed {options.seed}, numpy {version('numpy')}, scipy {version('scipy')}"
    sections = read(options.page)
    failed = False
    for family, text in measure_all(families, options.runs, options.seed):
        failed |= text is None
        if text is not None:
            sections[family] = (made, text)
    options.page.write_text("\n".join(page(sections)) + "\n", encoding="utf-8")
    low = [cell for cell in coverages(sections["win_rate"][1]) if cell < FLOOR] if "win_rate" in sections else []
    if low:
        print(f"{len(low)} cells of the win rate are below {FLOOR:g}, the lowest at {min(low):.4f}", file=sys.stderr)
    return 1 if failed or low else 0


def measure_all(families: Sequence[str], runs: int, seed: int) -> Iterator[tuple[str, str | None]]:
    """Each family with its section, None if it failed, in the order in which they finish."""
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(threads, "1")  # one core a section
    start = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        futures = {pool.submit(measure, FAMILIES[family], runs, seed): family for family in families}
        for future in as_completed(futures):
            family, error = futures[future], future.exception()
            outcome = f"failed: {error!r}" if error else "done"
            print(f"{family}: {outcome} after {time.monotonic() - start:.0f} s", file=sys.stderr)
            yield family, None if error else future.result()


def measure(module: str, runs: int, seed: int) -> str:
    return "\n".join(importlib.import_module(module).section(runs, seed)).strip()


def read(page: Path) -> dict[str, tuple[str, str]]:
    """The sections of a page that was written before: how each was made, and its text."""
    _, *parts = MARK.split(page.read_text(encoding="utf-8")) if page.is_file() else [""]
    families = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return {family: (made, text.strip()) for family, made, text in families if family in FAMILIES}


def page(sections: dict[str, tuple[str, str]]) -> Iterator[str]:
    yield HEAD
    yield ""
    yield "| family | cells | lowest coverage | cells below .94 | mean coverage | made with |"
    yield "|---|---|---|---|---|---|"
    known = [family for family in FAMILIES if family in sections]
    for family in known:
        made, text = sections[family]
        yield f"| {family.replace('_', ' ')} | {' | '.join(summary(coverages(text)))} | {made} |"
    for family in known:
        made, text = sections[family]
        yield from ("", f"<!-- family {family}: {made} -->", "", text)


def summary(cells: list[float]) -> tuple[str, str, str, str]:
    if not cells:
        return "none", "", "", ""
    lowest = f"{min(cells):.4f}".removeprefix("0")
    below = sum(cell < FLOOR for cell in cells)
    mean = f"{sum(cells) / len(cells):.4f}".removeprefix("0")
    return str(len(cells)), f"**{lowest}**" if below else lowest, str(below), mean


def coverages(text: str) -> list[float]:
    """The numbers under the head "coverage" in the tables of a section."""
    cells: list[float] = []
    column = None
    for line in text.splitlines():
        row = [cell.strip(" *") for cell in line.split("|")]
        if not line.startswith("|"):
            column = None
        elif "coverage" in row:
            column = row.index("coverage")
        elif column is not None and re.fullmatch(r"\d*\.\d+|1", row[column]):
            cells.append(float(row[column]))
    return cells


if __name__ == "__main__":
    sys.exit(main())
