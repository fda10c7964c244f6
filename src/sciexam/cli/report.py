"""`sciexam report`: an earlier comparison counted again, or a running one followed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sciexam.cli.compare import check_complete, show
from sciexam.cli.figures import check_figures, draw_figures
from sciexam.cli.options import AsJson, FigureFormatOption, Figures, OpenPage, Quiet, Results, StorePath
from sciexam.cli.running import interruptible

if TYPE_CHECKING:
    from sciexam.exam.reporting import Look
    from sciexam.report.record import Report


def report(
    run: Annotated[
        str | None,
        typer.Argument(help="A run's id, its unique beginning, or its folder.  [default: the latest comparison]"),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Follow a comparison that runs elsewhere, until nothing is missing.")
    ] = False,
    open_page: OpenPage = False,
    store: StorePath = None,
    results: Results = Path("results"),
    figures: Figures = None,
    figure_format: FigureFormatOption = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Count an earlier comparison again from the ledger and write its report. No model is called."""
    from sciexam.exam import reporting

    check_figures(figures, figure_format)
    named = Path(run).name if run is not None else None
    found = _followed(named, store, results, open_page) if watch else reporting.report(named, store, results)
    show(found, results, as_json, quiet, open_page=open_page and not watch)
    draw_figures(found, figures, figure_format)
    check_complete(found)


def _followed(run: str | None, store: str | None, results: Path, open_page: bool) -> Report:
    """The last report of a comparison that is followed; raises Interrupted after a Ctrl-C."""
    from sciexam.errors import Interrupted
    from sciexam.exam import report_folder, reporting

    waiting = open_page

    def tell(look: Look) -> None:
        nonlocal waiting
        print(f"sciexam: {_said(look)}", file=sys.stderr, flush=True)
        if waiting and look.report is not None:
            from sciexam.cli.browsing import open_in_browser

            open_in_browser(report_folder(look.report, results) / "report.html")
            waiting = False

    with interruptible("no longer following; the comparison itself is not touched") as stop:
        found = reporting.watch(tell, run, store, results, stop)
    if stop.is_set() and found.missing:
        raise Interrupted(f"{found.missing:,} verdicts were missing; `sciexam report --watch` goes on following")
    return found


def _said(look: Look) -> str:
    """What a look found, in a line."""
    from sciexam.report.plain_text import one_line
    from sciexam.report.wording import overview, so_far

    if look.report is None:
        said = "nothing can be counted yet."
    else:
        pairs = look.report.pairs
        result = pairs[0].sentence if len(pairs) == 1 else overview(look.report)
        said = f"{one_line(result)} {so_far(look.report) or 'Nothing is missing.'}"
    if look.missing and not look.workers:
        said += " No process is working on it; the same `sciexam compare` goes on."
    return said
