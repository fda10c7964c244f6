"""`sciexam leaderboard`: the standings of the contestants of a suite, by one judge."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from sciexam.cli.as_peers import Peer, print_as_peer
from sciexam.cli.completion import contestants, judges
from sciexam.cli.figures import check_figures, draw_figures
from sciexam.cli.options import (
    AsJson,
    BatchOption,
    BudgetOption,
    EngineName,
    EngineOption,
    FigureFormatOption,
    Figures,
    InShort,
    Limit,
    MaxWait,
    OrdersOption,
    Policy,
    PolicyOption,
    PromptsFile,
    Results,
    RetryInvalid,
    RubricName,
    Slice,
    StorePath,
    StrictModel,
    SuiteName,
    chosen_suite,
)
from sciexam.cli.progress import progress
from sciexam.cli.running import announce, announce_measures, interruptible, refuse_incomplete, terminal


class Against(StrEnum):
    all = "all"
    baseline = "baseline"


def leaderboard(
    contestants: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=contestants, help="Contestants of the suite, or files of answers.  [default: the suite's]"
        ),
    ] = None,
    suite: SuiteName = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            "--judge",
            "-j",
            autocompletion=judges,
            help="One judge: of the suite, `measures`, `humans`, `openai:MODEL`, a .jsonl of verdicts.",
        ),
    ] = None,
    rubric: RubricName = None,
    prompts: PromptsFile = None,
    pairs: Annotated[
        Against, typer.Option(help="Compare every two contestants, or each with the baseline alone.")
    ] = Against.all,
    reward: Annotated[
        str | None,
        typer.Option(help="Whose rewards stand in the rows: a judge of the suite, or a .jsonl of rewards. Not asked."),
    ] = None,
    orders: OrdersOption = None,
    policy: PolicyOption = Policy.mean,
    by: Slice = "category",
    limit: Limit = None,
    budget: BudgetOption = None,
    batch: BatchOption = False,
    engine: EngineOption = EngineName.local,
    strict_model: StrictModel = False,
    retry_invalid: RetryInvalid = False,
    max_wait: MaxWait = 120.0,
    store: StorePath = None,
    results: Results = Path("results"),
    site: Annotated[
        Path | None,
        typer.Option(help="The folder of the static site, replaced whole.  [default: RESULTS/SUITE/leaderboard]"),
    ] = None,
    open_site: Annotated[bool, typer.Option("--open", help="Open the site in a browser.")] = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table for a README on stdout, nothing else.")
    ] = False,
    figures: Figures = None,
    figure_format: FigureFormatOption = None,
    check: Annotated[
        bool, typer.Option(help="Only say whether all rows are complete and alike; ask nobody, and write nothing.")
    ] = False,
    as_peer: Annotated[
        Peer | None,
        typer.Option("--as", help="Count the verdicts by a peer's own rule, with our intervals beside; ask nobody."),
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="For --as alpacaeval: the file that its length control needs (.csv, .csv.gz).")
    ] = None,
    style_control: Annotated[
        bool, typer.Option("--style-control", help="For --as arena-hard: the style-controlled score of v2.0, too.")
    ] = False,
    quiet: InShort = False,
    as_json: AsJson = False,
) -> None:
    """Rate the contestants of a suite by one judge: ratings, rank ranges, win rates against the baseline.

    A null contestant, which answers nothing, sits the exam too where the judge can be asked. The board is also written
    as a static site.
    """
    from sciexam import exam
    from sciexam.errors import UsageError

    if judge and len(judge) > 1:
        raise UsageError("a leaderboard is by one judge, and verdicts of several are never mixed; name one --judge")
    if check and (as_json or as_markdown):
        raise UsageError("--check prints one line; leave out --json and --markdown")
    if as_json and as_markdown:
        raise UsageError("--json and --markdown: stdout holds one of them; name one")
    if calibration is not None and as_peer is None:
        raise UsageError("--calibration goes with --as alpacaeval")
    if style_control and (as_peer is None or as_peer.value != "arena-hard"):
        raise UsageError("--style-control goes with --as arena-hard")
    check_figures(figures, figure_format)
    chosen, names = chosen_suite(suite, contestants or [], prompts, rubric, judge or [], results=results)
    if not judge and as_peer is None:
        announce_measures("leaderboard", chosen, contestants or [])
    asked: dict[str, Any] = {
        "judge": judge[0] if judge else None,
        "pairs": pairs.value,
        "orders": orders.value if orders else None,
        "policy": policy.value,
        "by": by,
        "limit": limit,
        "store": store,
        "results": results,
    }
    if as_peer is not None:
        if check or figures or site or open_site:
            raise UsageError(
                "--as prints one table, and writes nothing; leave out --check, --figures, --site and --open"
            )
        kept = {key: value for key, value in asked.items() if key not in ("orders", "policy")}
        more = {"peer": as_peer.value, "reward": reward, "calibration": calibration, "style_control": style_control}
        print_as_peer(chosen, names, as_json, as_markdown, **kept, **more)
        return
    if check:
        told = exam.check_leaderboard(chosen, *names, **asked)
        print(told)
        return
    place = exam.site_folder(chosen.name, site, results)
    with interruptible() as stop, progress(as_json or as_markdown or quiet) as shown:
        found = exam.leaderboard(
            chosen,
            *names,
            **asked,
            reward=reward,
            budget=budget,
            batch=batch,
            engine=engine.value,
            strict_model=strict_model,
            retry_invalid=retry_invalid,
            max_wait=max_wait,
            site=site,
            stop=stop,
            preflight=announce,
            progress=shown,
        )
    if as_json:
        print(json.dumps(found.to_json(), indent=1, allow_nan=False))
    elif as_markdown:
        from sciexam.report.standings.readme_table import readme_table

        print(readme_table(found), end="")
    elif quiet:
        from sciexam.report.plain_text import plain_text
        from sciexam.report.site.sentences import answer

        print(plain_text(f"By `{found.judge}` ({found.judge_is}): {answer(found)}"))
    else:
        from sciexam.report.tables import print_list, print_steps, print_tables, text_for
        from sciexam.report.wording import calls, noted

        console = terminal()
        print_tables(found.tables(), console)
        print_list("Caveats", found.caveats, console)
        print_list("Notes", noted(found.notes), console)
        print_steps(found.next_steps, console)
        console.print(text_for(console, f"Calls: {calls(found.calls)}"))
        folder = exam.report_folder(found, results)
        console.print(text_for(console, f"Leaderboard: {folder}/leaderboard.md, .csv, .json"), soft_wrap=True)
        console.print(text_for(console, f"Site: {place}/index.html"), soft_wrap=True)
    if open_site:
        from sciexam.cli.browsing import open_in_browser

        open_in_browser(place / "index.html")
    draw_figures(found, figures, figure_format)
    if found.incomplete:
        refuse_incomplete(bool(found.failed), found.calls.unasked, bool(found.invalid))
