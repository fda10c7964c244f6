"""`sciexam lineage`: from what each model is made, and whether it is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sciexam.cli.options import AsJson, Results, SuiteName
from sciexam.cli.running import terminal

if TYPE_CHECKING:
    from sciexam.report.training.standing import Standing


STATES = {
    "there": "there",
    "recorded": "recorded answers, no weights",
    "missing": "not trained",
    "rejected": "rejected by its exam",
}
PLAIN = str.maketrans({"├": "|", "└": "`", "│": "|", "─": "-"})  # for terminals without lines to draw with


def lineage(
    name: Annotated[
        str | None, typer.Argument(help="A model: it and what it is made from.  [default: all of the suite]")
    ] = None,
    suite: SuiteName = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Draw the lineage of a suite: what is made from what, by which stage, what is there, and what each stage gained.

    Nothing is asked or trained.

    Example: sciexam lineage rlhf --suite my-suite
    """
    from sciexam.report.training.standing import standings, tree_of
    from sciexam.suite import load_suite

    chosen = load_suite(suite, results)
    if name is not None:
        chosen.model(name)
    found = standings(chosen.models, results, chosen.lineage_digest, [name] if name is not None else [])
    if as_json:
        print(json.dumps([one.to_json() for one in found], indent=1, allow_nan=False))
        return
    from sciexam.report.tables import text_for

    console = terminal()
    for before, one in tree_of(found):
        drawn = before if (console.encoding or "").startswith("utf") else before.translate(PLAIN)
        console.print(drawn, text_for(console, f"{one.model}: {_said(one)}"), sep="", soft_wrap=True)
    if said := _foot(found, chosen.command("train", "NAME")):
        console.print(text_for(console, said), soft_wrap=True)


def _said(one: Standing) -> str:
    """What a line says behind the name: the stage, whether it is there, its digest, what it gained, and what else it
    was made with.
    """
    from sciexam.stats import Estimate

    also = f"; made with {', '.join(one.others)}, too" if one.others else ""
    gain = f"; {one.gain} against {one.parent}" if isinstance(one.gain, Estimate) else ""
    return f"{one.stage}, {STATES[one.state]}, {one.digest[:12]}{gain}{also}"


def _foot(found: list[Standing], command: str) -> str:
    """What to type for what is not trained; empty where all of it is there."""
    without = [one.model for one in found if one.state in ("missing", "recorded")]
    if not without:
        return ""
    return f"Without weights here: {', '.join(without)}. `{command}` trains one and what it is made from."
