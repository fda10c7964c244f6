"""The site of a leaderboard: static pages that any host can publish, and that a browser can open from a disk."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciexam.folders import replace_folder

if TYPE_CHECKING:
    from sciexam.report.audit import Takes
    from sciexam.report.standings.leaderboard import Leaderboard


def write_site(
    board: Leaderboard,
    downloads: Mapping[str, str],
    manifest: Mapping[str, Any],
    folder: Path,
    results: Path,
    takes: Takes | None = None,
) -> Path:
    """Replace `folder` by the site of `board`, as a whole; returns its first page.

    `manifest` is that of the board's run, and `downloads` its files (`downloads_of`). What `results` holds of
    validations and audits of the judge stands on the judge's page, or else what an audit `takes`. Raises UsageError
    where the folder holds what sciexam did not write, or cannot be replaced.
    """
    from sciexam.report.site.pages import site_files

    suite = board.suite if re.fullmatch(r"\w[\w.-]*", board.suite) else "no suite"  # its name is data, and no path
    replace_folder(folder, site_files(board, downloads, manifest, results / suite, takes))
    return folder / "index.html"
