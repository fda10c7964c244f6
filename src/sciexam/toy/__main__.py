"""`python -m sciexam.toy FOLDER [--for SUITE] [--seed N] [--size small|full]`: make what a toy lineage learns from."""

from __future__ import annotations

import argparse
from pathlib import Path

from sciexam.toy import lineages
from sciexam.toy.data import FULL, MARKED, SMALL

SIZES = {"full": FULL, "small": SMALL, "marked": MARKED}
LINEAGES = {
    "science": lineages.science,
    "science-judge": lineages.science_judge,
    "sawyer": lineages.sawyer,
    "rlhf-workflow": lineages.rlhf_workflow,
}


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
        help="all phenomena, or those of the first 24 prompts; marked: of these, with more to learn marking from",
    )
    parser.add_argument(
        "--for",
        dest="lineage",
        choices=LINEAGES,
        default="science",
        help="make what the toy suite of this name needs beside the files that it shares with the others",
    )
    given = parser.parse_args()
    for path in LINEAGES[given.lineage](given.folder, SIZES[given.size], given.seed):
        print(path)


if __name__ == "__main__":
    main()
