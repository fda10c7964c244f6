"""The files of a leaderboard: the record as JSON, its rows as CSV, its tables as Markdown."""

from __future__ import annotations

from sciexam.files import json_text
from sciexam.report.standings.leaderboard import Leaderboard
from sciexam.report.tables import to_markdown
from sciexam.report.wording import noted


def downloads_of(board: Leaderboard) -> dict[str, str]:
    """The text of each by its name, for the folder of the run and for the site."""
    notes = noted(board.notes)
    return {
        "leaderboard.json": json_text(board.to_json()),
        "leaderboard.csv": board.to_csv(),
        "leaderboard.md": to_markdown(
            board.title, board.tables(), board.next_steps, caveats=board.caveats, notes=notes
        ),
    }
