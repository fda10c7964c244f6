"""`sciexam serve`: a contestant behind an OpenAI-compatible endpoint, and a page to try it beside its parent."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sciexam.cli.completion import models
from sciexam.cli.options import Results, StorePath, SuiteName

if TYPE_CHECKING:
    from sciexam.suite import Suite


def serve(
    name: Annotated[str, typer.Argument(autocompletion=models, help="A model of the suite whose weights are here.")],
    suite: SuiteName = None,
    beside: Annotated[
        str | None, typer.Option(help="The model that the page shows beside it; none: nobody.  [default: its parent]")
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen at; others need --public-url.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.")] = 8000,
    public_url: Annotated[str | None, typer.Option(help="The address under which other machines reach it.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="The most tokens that a request may ask for.")] = 4096,
    at_once: Annotated[int, typer.Option(min=1, max=64, help="Answers that are written at once.")] = 8,
    waiting: Annotated[int, typer.Option(min=0, max=4096, help="Answers that may wait for their turn.")] = 32,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    votes: Annotated[
        Path | None, typer.Option(help="Serve nothing: write the votes on NAME that were kept to this folder.")
    ] = None,
    forget: Annotated[
        str | None, typer.Option(help="Serve nothing: delete the votes of this visitor, for good.")
    ] = None,
    store: StorePath = None,
    results: Results = Path("results"),
) -> None:
    """Serve a contestant: POST /v1/chat/completions, and a page at / to try it beside its parent.

    What is typed there is kept nowhere, but votes that a visitor agreed to have kept.
    """
    from sciexam.exam.runs import location_of

    if votes is not None or forget is not None:
        _of_the_ledger(location_of(store, results), name, votes, forget)
        return
    from sciexam.suite import load_suite

    chosen = load_suite(suite, results)
    location, address = location_of(store, results), (host, port, public_url)
    _serve(chosen, name, beside, address, max_tokens, (at_once, waiting), open_page, location, results)


def _serve(
    chosen: Suite,
    name: str,
    beside: str | None,
    address: tuple[str, int, str | None],
    longest: int,
    places: tuple[int, int],
    open_page: bool,
    location: str,
    results: Path,
) -> None:
    from sciexam.serve.admission import Admission, token_of
    from sciexam.serve.api import Api
    from sciexam.serve.chat import Chat
    from sciexam.serve.contestant import open_all, pair_of
    from sciexam.serve.serving import Ledger, application
    from sciexam.serve.turns import Turns
    from sciexam.web.serving import listening, origin_of, origins_of, run

    host, port, public_url = address
    pair = pair_of(chosen, name, beside)
    token, is_new = token_of(host, public_url)
    origin = origin_of(host, port, public_url, "https://models.example.org")
    with listening(host, port) as bound:
        if port == 0 and public_url is None:
            origin = origin_of(host, bound.getsockname()[1], None)
        turns, ledger = Turns(*places), Ledger(location)
        pair, served = open_all(chosen, pair, results / chosen.name / "merged", turns)
        api = Api(served, Admission(token), longest)
        chat = Chat(chosen.name, pair, served, ledger.keep, ledger.forget, longest)
        _announce(pair.names, pair.why, origin, token if is_new else None, bound.getsockname()[:2])
        if open_page:
            webbrowser.open(f"{origin}/" if token is None else f"{origin}/#token={token}")
        try:
            run(application(api, chat, origins_of(origin, bound)), bound, turns.stop)
        finally:
            turns.close()
            ledger.close()


def _announce(names: tuple[str, ...], why: str, origin: str, token: str | None, bound: tuple[str, int]) -> None:
    from sciexam.cli.running import terminal
    from sciexam.report.plain_text import one_line
    from sciexam.serve.admission import VARIABLE

    beside = f", beside {names[1]}" if len(names) > 1 else ""
    lines = [f"{one_line(names[0])}{one_line(beside)}: {origin}/v1", f"To try it: {origin}/"]
    if token is not None:
        lines[1] = f"To try it: {origin}/#token={token}"
        lines.append(f"Token (this is the only time it is shown; set {VARIABLE} to choose one): {token}")
    console = terminal()
    for line in lines:
        console.print(line, markup=False, soft_wrap=True, overflow="ignore", crop=False)
    sys.stdout.flush()
    if why:
        print(f"sciexam: {one_line(why)}", file=sys.stderr)
    print(f"sciexam: Listening on {bound[0]}, port {bound[1]}. Ctrl-C stops it", file=sys.stderr)


def _of_the_ledger(location: str, name: str, votes: Path | None, forget: str | None) -> None:
    """What is done with votes that were kept, without serving anything."""
    from sciexam.errors import UsageError
    from sciexam.exam.runs import check_there
    from sciexam.serve.votes import export, is_visitor
    from sciexam.store import Store

    if forget is not None and not is_visitor(forget):
        raise UsageError(f"--forget {forget}: a visitor is called as the page says, such as visitor-0f3a91bc")
    check_there(location)
    with Store(location) as ledger:
        if forget is not None:
            print(f"sciexam: {ledger.votes.forget(forget)} votes of {forget} were deleted", file=sys.stderr)
        if votes is not None:
            count = export(ledger, name, votes)
            print(f"sciexam: wrote {count} vote{'s' if count != 1 else ''} to {votes}", file=sys.stderr)
