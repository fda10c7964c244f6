"""Other tools' files, read as suites of sciexam and written from its own; each format in a file of its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sciexam.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from sciexam.exchange.landing import Landing

# What `sciexam import` reads, in the order in which its help names them.
FORMATS = (
    *("alpacaeval", "mt-bench", "arena-hard", "rewardbench", "lmarena", "pandalm"),
    *("inspect", "label-studio", "argilla", "table"),
)


def read(format: str, paths: Sequence[Path], mapping: Path | None = None) -> Landing:
    """Read files, or folders of files, of a format. `mapping` names the columns of a table, which needs one, or the
    fields of an annotation tool.

    Faults of the files are in the landing (`exchange.landed.land` raises them). Raises UsageError for a format that is
    not known, and for paths that are not what the format is made of.
    """
    if format == "table" and mapping is None:
        raise UsageError("a table needs --mapping, a file that says what its columns are; see docs/importing.md")
    if mapping is not None and format not in ("table", "label-studio", "argilla"):
        raise UsageError("--mapping goes with table, label-studio and argilla; see docs/importing.md")
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path}: no such file or folder")
    match format:
        case "alpacaeval":
            from sciexam.exchange import alpacaeval

            return alpacaeval.read(paths)
        case "mt-bench":
            from sciexam.exchange import mt_bench

            return mt_bench.read(paths)
        case "arena-hard":
            from sciexam.exchange import arena_hard

            return arena_hard.read(paths)
        case "rewardbench":
            from sciexam.exchange import rewardbench

            return rewardbench.read(paths)
        case "lmarena":
            from sciexam.exchange import lmarena

            return lmarena.read(paths)
        case "pandalm":
            from sciexam.exchange import pandalm

            return pandalm.read(paths)
        case "inspect":
            from sciexam.exchange import inspect_log

            return inspect_log.read(paths)
        case "label-studio":
            from sciexam.exchange import label_studio

            return label_studio.read(paths, mapping)
        case "argilla":
            from sciexam.exchange import argilla

            return argilla.read(paths, mapping)
        case "table" if mapping is not None:
            from sciexam.exchange import table

            return table.read(paths, mapping)
        case _:
            raise UsageError(f"{format!r} is no format that is read here{did_you_mean(format, FORMATS)}")
