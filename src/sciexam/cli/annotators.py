"""`sciexam annotate link` and `forget`: the people of a study by name or pseudonym, and their links."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sciexam.cli.options import Results, StorePath
from sciexam.cli.running import terminal

if TYPE_CHECKING:
    from sciexam.store import Store
    from sciexam.store.annotators import Annotator

Days = Annotated[float | None, typer.Option(help="How many days new links are valid.  [default: 30]")]
USUAL_PORT = 8400
OPENS = f"opens once `sciexam annotate serve` runs, on port {USUAL_PORT} unless --port says otherwise"
Port = Annotated[int, typer.Option(help="The port of the page; 0 takes a free one.")]
PublicUrl = Annotated[
    str | None, typer.Option(help="The address under which annotators on other machines reach the page.")
]


def link(
    name: Annotated[str | None, typer.Argument(help="An annotator's name or pseudonym; a new name is added.")] = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="End the link; what was judged stays.")] = False,
    renew: Annotated[bool, typer.Option("--renew", help="Give a new link, which ends the old one.")] = False,
    owner: Annotated[bool, typer.Option("--owner", help="The link of the owner's page.")] = False,
    host: Annotated[str | None, typer.Option(help="As in `serve`.  [default: where the page was served last]")] = None,
    port: Annotated[int | None, typer.Option(help="As in `serve`.  [default: where the page was served last]")] = None,
    public_url: PublicUrl = None,
    days: Days = None,
    store: StorePath = None,
    results: Results = Path("results"),
) -> None:
    """Print the link of an annotator, who is added if there is none of that name; renew it, or end it.

    Without a name it prints all links.
    """
    from sciexam.annotate import serving
    from sciexam.annotate.announcement import links_of
    from sciexam.annotate.links import Links, until
    from sciexam.errors import UsageError
    from sciexam.exam.runs import existing_ledger
    from sciexam.store.annotators import IMPORTED, OPEN
    from sciexam.store.forgetting import FORGOTTEN
    from sciexam.web.serving import LOOPBACK, origin_of

    given = origin_of(host or LOOPBACK[0], USUAL_PORT if port is None else port, public_url)
    is_given = (host, port, public_url) != (None, None, None)
    owner = owner or (name or "").strip().casefold() in serving.OWNER_NAMES
    ends = until(days)
    with existing_ledger(store, results, "annotate serve") as ledger:
        kept = ledger.annotators
        served = bool(ledger.annotations.queues())
        origin = given if is_given else serving.served_at(ledger, results) or given
        if revoke and renew:
            raise UsageError("--revoke ends a link, --renew gives another; choose one")
        if name is None and not owner:
            if revoke or renew:
                raise UsageError("name whose link is meant: sciexam annotate link NAME --revoke")
            people = [one for one in kept.all() if one.state == OPEN]
            print_lines(links_of(serving.invitations(Links(ledger), people, origin)))
            if not any(not one.is_owner for one in people):
                _say_nobody([one for one in kept.all() if one.state == IMPORTED], served)
            return
        if owner:
            person = kept.owner(ends)
        elif revoke:
            person = _person(ledger, str(name))
        else:
            found = _find(ledger, str(name))
            person = found or kept.add(serving.check_name(str(name)), ends)
            if found is None:
                _say_added(person, _like(ledger, person))
        if person.state == FORGOTTEN:
            raise UsageError(f"{person.pseudonym} was forgotten, and has no link; a new name is a new annotator")
        if revoke:
            kept.revoke(person.id)
            serving.strike_links(results, person.pseudonym)
            print(f"sciexam: the link of {person.label} is ended; what was judged with it stays", file=sys.stderr)
            return
        is_new = not owner and found is None
        if renew or person.state == IMPORTED:
            person, is_new = kept.renew(person.id, ends), True
        print_lines(links_of(serving.invitations(Links(ledger), [person], origin)))
        if is_new:
            serving.write_link(ledger, results, person, origin)
            if not served:
                print(f"sciexam: the link {OPENS}", file=sys.stderr)
        elif days is not None:
            print("sciexam: --days holds for new links, and this one is as it was; add --renew", file=sys.stderr)


def forget(
    name: Annotated[str, typer.Argument(metavar="ANNOTATOR", help="An annotator's name or pseudonym.")],
    keep_judgements: Annotated[
        bool, typer.Option("--keep-judgements", help="Keep what they chose, under the pseudonym, without their words.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    store: StorePath = None,
    results: Results = Path("results"),
) -> None:
    """Delete an annotator for good: name, link, drafts, comments, judgements and verdicts.

    The pseudonym stays, with how many judgements were deleted; reports that were written before keep what they hold.
    """
    from sciexam.annotate.overview import complete_items
    from sciexam.annotate.serving import strike_links
    from sciexam.exam.runs import existing_ledger
    from sciexam.store.annotators import IMPORTED

    with existing_ledger(store, results, "annotate serve") as ledger:
        person = _person(ledger, name)
        what = "the name, the link and every word" if keep_judgements else "everything"
        if not yes and not _confirmed(f"Delete {what} of {person.label}, for good?"):
            print("sciexam: nothing was deleted", file=sys.stderr)
            return
        complete = complete_items(ledger)
        count = ledger.annotators.forget(person.id, keep_judgements)
        short = complete - complete_items(ledger)
        strike_links(results, person.pseudonym)
    deleted = f"{count} judgement{' was' if count == 1 else 's were'} deleted"
    if person.state == IMPORTED and not keep_judgements:
        deleted = "the verdicts that came with a file were deleted"  # which are no judgements of a queue
    print(f"sciexam: {person.pseudonym} is forgotten; {deleted}", file=sys.stderr)
    stays = "what they chose, under the pseudonym; " if keep_judgements else ""
    print(
        f"sciexam: what stays: {stays}the pseudonym with that number; reports, exports and backups that were made "
        "before, which are yours to delete, and a name in a file of names, from which `annotate serve --names` adds it "
        "again",
        file=sys.stderr,
    )
    if short:
        items = "1 item that was complete is" if short == 1 else f"{short} items that were complete are"
        print(f"sciexam: {items} short of an annotator; sciexam annotate status has what is left", file=sys.stderr)


def _confirmed(question: str) -> bool:
    """What is answered. Raises UsageError where nobody is there to answer."""
    from sciexam.errors import UsageError

    try:
        return typer.confirm(question)
    except typer.Abort:
        if sys.stdin.isatty():
            raise
        print(file=sys.stderr)
        raise UsageError("nobody answers here, and nothing was deleted; --yes answers") from None


def _like(ledger: Store, person: Annotator) -> str:
    """The name of somebody else who may be meant: one of the two names begins with the other, or it is near to it."""
    from difflib import get_close_matches

    name = person.label.casefold()
    others = {one.name.casefold(): one.name for one in ledger.annotators.all() if one.name and one.id != person.id}
    alike = [other for other in others if f"{other} ".startswith(f"{name} ") or f"{name} ".startswith(f"{other} ")]
    return others.get(next(iter([*alike, *get_close_matches(name, others, n=1, cutoff=0.8)]), ""), "")


def _say_added(person: Annotator, like: str) -> None:
    """That somebody is new here; what undoes it, where perhaps another was meant."""
    added = f"{person.label} was added, as {person.pseudonym}"
    undone = f"; sciexam annotate forget {person.pseudonym} --yes undoes it"
    there = f"there is an annotator {like!r} already; "
    print(f"sciexam: {f'{there}{added}{undone}' if like else added}", file=sys.stderr)


def _say_nobody(imported: Sequence[Annotator], served: bool) -> None:
    """Why no link was printed, and what makes one."""
    import shlex

    people = "1 annotator has" if len(imported) == 1 else f"{len(imported)} annotators have"
    why = f"{people} come with a file, which gives no link" if imported else "nobody has a link"
    name = f"-- {shlex.quote(imported[0].label)}" if imported else "NAME"
    opens = "" if served else f"; it {OPENS}"
    print(f"sciexam: {why}. `sciexam annotate link {name}` gives one{opens}", file=sys.stderr)


def _find(ledger: Store, name: str) -> Annotator | None:
    people = [one for one in ledger.annotators.all() if not one.is_owner]
    return next((one for one in people if name in (one.name, one.pseudonym)), None)


def _person(ledger: Store, name: str) -> Annotator:
    from sciexam.errors import UsageError, did_you_mean

    found = _find(ledger, name)
    if found is None:
        known = [one.label for one in ledger.annotators.all() if not one.is_owner]
        raise UsageError(f"{name!r} is no annotator here{did_you_mean(name, known)}")
    return found


def print_lines(lines: Iterable[str]) -> None:
    """Print results a line each: a link that is broken over two lines cannot be copied."""
    console = terminal()
    for line in lines:
        console.print(line, markup=False, soft_wrap=True, overflow="ignore", crop=False)
    sys.stdout.flush()
