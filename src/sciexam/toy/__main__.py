"""`python -m sciexam.toy FOLDER [--seed N] [--size full|small|marked|judged]`: what toy models learn from."""

from __future__ import annotations

import argparse
from pathlib import Path

from sciexam.toy.data import FULL, JUDGED, MARKED, SMALL, write

SIZES = {"full": FULL, "small": SMALL, "marked": MARKED, "judged": JUDGED}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sciexam.toy",
        description="Make the documents, demonstrations and prompts that the toy lineage learns from.",
    )
    parser.add_argument("folder", type=Path, help="where the files go; those of the same names are replaced")
    parser.add_argument("--seed", type=int, default=1, help="fixes every draw (default 1)")
    parser.add_argument(
        "--size",
        choices=SIZES,
        default="full",
        help="all phenomena, or those of the first 24 prompts; marked: of these, with more to learn marking from; "
        "judged: pairs of all phenomena alone, to learn judging from",
    )
    given = parser.parse_args()
    for path in write(given.folder, SIZES[given.size], given.seed):
        print(path)


if __name__ == "__main__":
    main()
