"""What `--figures` and `--format` mean to every command that has something to draw."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sciexam.cli.options import FigureFormat
from sciexam.errors import UsageError

if TYPE_CHECKING:
    from sciexam.report.figures import Drawn


def check_figures(folder: Path | None, format: FigureFormat | None) -> None:
    """Refuse what could not be written, before anything is asked or paid. Raises UsageError."""
    if folder is None:
        if format is not None:
            raise UsageError(f"--format {format.value} says how figures are written, and --figures DIR where; add it")
        return
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise UsageError(f"--figures {folder}: {place} is a file; name a folder, such as --figures figures")
    if not os.access(place, os.W_OK | os.X_OK):
        raise UsageError(f"--figures {folder}: nothing can be written to {place}; name a folder of yours")


def draw_figures(found: Drawn, folder: Path | None, format: FigureFormat | None) -> None:
    """Write the figures of a record, if they are asked for, and print their paths on stderr."""
    if folder is None:
        return
    from sciexam.report.figures import figures_of
    from sciexam.report.figures.drawing import write_figures

    drawings = figures_of(found)
    if not drawings:
        print("sciexam: there is nothing to draw: no estimate has an interval", file=sys.stderr)
    try:
        paths = write_figures(drawings, folder, format.value if format else "svg")
    except OSError as error:
        raise UsageError(f"--figures {folder}: {(error.strerror or str(error)).lower()}") from None
    for path in paths:
        print(f"sciexam: figure {path}", file=sys.stderr)
