"""`sciexam leaderboard --as PEER`: what a peer's own rule makes of the verdicts, printed."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sciexam.cli.running import terminal

if TYPE_CHECKING:
    from sciexam.suite import Suite


class Peer(StrEnum):
    alpacaeval = "alpacaeval"
    arena_hard = "arena-hard"
    mt_bench = "mt-bench"


def print_as_peer(suite: Suite, names: list[str], as_json: bool, as_markdown: bool, **asked: Any) -> None:
    """Print the board of `suite` as a peer counts it. `asked`: the arguments of `exam.board.as_peers.as_peer`."""
    from sciexam.exam.board.as_peers import as_peer
    from sciexam.report.tables import print_list, print_tables, to_markdown

    found = as_peer(suite, *names, **asked)
    if as_json:
        print(json.dumps(found.to_json(), indent=1, allow_nan=False))
        return
    tables = found.tables()
    if as_markdown:
        print(to_markdown(tables[0].title, tables, caveats=found.caveats), end="")
        return
    console = terminal()
    print_tables(tables, console)
    print_list("Caveats", found.caveats, console)
