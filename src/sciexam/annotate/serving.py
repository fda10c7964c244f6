"""Serving a queue: who is invited, under which address, and the server itself."""

from __future__ import annotations

import csv
import re
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from sciexam.annotate.app import Pages
from sciexam.annotate.desk import Desk, keep_queue
from sciexam.annotate.links import Links, until
from sciexam.annotate.queue import USUAL_ANNOTATORS, Queue
from sciexam.errors import UsageError
from sciexam.files import write_atomically
from sciexam.report.tables import to_csv
from sciexam.store import Store
from sciexam.store.annotators import IMPORTED, OPEN, Annotator
from sciexam.typed import Command
from sciexam.types import ADJUDICATION
from sciexam.web.serving import origins_of, run

LONGEST_NAME = 100
OWNER_NAMES = ("the owner", ADJUDICATION)


@dataclass(frozen=True, slots=True)
class Invitation:
    """A personal link, and who it is for. `ended`: why it opens nothing, or an empty text."""

    annotator: Annotator
    link: str

    @property
    def valid_until(self) -> str:
        return datetime.fromtimestamp(self.annotator.until / 1000, UTC).date().isoformat()

    @property
    def ended(self) -> str:
        if self.annotator.state != OPEN:
            return self.annotator.state
        return "expired" if self.annotator.until < time.time() * 1000 else ""


def read_names(path: Path) -> list[str]:
    """The names of annotators, one a line. Raises UsageError with the line for one that is none."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8'}; give one name a line") from None
    named: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        name = line.strip()
        if not name:
            continue
        if name in named:
            raise UsageError(f"{path}:{number}: {name!r} stands in line {named[name]} already")
        named[check_name(name, f"{path}:{number}: ")] = number
    if not named:
        raise UsageError(f"{path}: holds no names; give one name a line")
    return list(named)


def check_name(name: str, where: str = "") -> str:
    """`name`, if it can be one: printable, short enough for a table, and none that we give ourselves."""
    if not name.isprintable() or not 0 < len(name) <= LONGEST_NAME:
        raise UsageError(f"{where}a name has 1 to {LONGEST_NAME} printable characters")
    if is_pseudonym(name):
        raise UsageError(f"{where}{name!r} is what sciexam calls people in facts; choose another name")
    return name


def is_pseudonym(name: str) -> bool:
    """Whether a ledger calls somebody so in its facts."""
    return re.fullmatch(r"annotator-\d+|adjudication|the owner", name.strip(), re.IGNORECASE) is not None


def invited(store: Store, names: Sequence[str], count: int | None, days: float | None) -> list[Annotator]:
    """Those of these names, or `count` without names, who are added where they are missing.

    With neither: everyone who has a link, or four. A link that was ended stays ended.
    """
    kept, ends = store.annotators, until(days)
    if names:
        people = [kept.add(name, ends) for name in names]
        return [kept.renew(one.id, ends) if one.state == IMPORTED else one for one in people]
    known = [one for one in kept.all() if one.state == OPEN and not one.is_owner]
    if count is None and known:
        return known
    unnamed = [one for one in known if one.name is None][: count or USUAL_ANNOTATORS]
    return [*unnamed, *(kept.add(None, ends) for _ in range((count or USUAL_ANNOTATORS) - len(unnamed)))]


def owner_of(store: Store, days: float | None) -> Annotator:
    """Whoever runs the study, and adjudicates."""
    return store.annotators.owner(until(days))


def invitations(links: Links, people: Sequence[Annotator], origin: str) -> list[Invitation]:
    """A link for each; the owner's opens the owner's page."""
    return [Invitation(one, f"{origin}/{'owner' if one.is_owner else 'a'}/{links.token(one)}") for one in people]


def write_invitations(
    store: Store, results: Path, queue: Queue, people: Sequence[Annotator], days: float | None, origin: str
) -> tuple[list[Invitation], Path, str]:
    """Write a link for each of these people and for the owner: the invitations, their file, which holds those that open
    something, and where those that stood in it led.
    """
    listed = invitations(Links(store), [*people, owner_of(store, days)], origin)
    file = results / queue.suite / queue.id / "links.csv"
    before = linked_to(file)
    write_links(file, [one for one in listed if one.annotator.is_owner or not one.ended])
    return listed, file, before


def write_links(path: Path, listed: Sequence[Invitation]) -> None:
    """The links as CSV that only its owner can read: who has a link can judge in somebody's name."""
    write_atomically(path, _as_csv(listed), mode=0o600)


def write_link(store: Store, results: Path, person: Annotator, origin: str) -> None:
    """Put somebody's link into the file of each queue that has one, under the address to which its links lead."""
    for path in (path for id in store.annotations.queues() for path in results.glob(f"*/{id}/links.csv")):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        listed = invitations(Links(store), [person], linked_to(path) or origin)
        mine = _as_csv(listed).splitlines(keepends=True)[1]
        place = next((at for at, line in enumerate(lines) if _is_of(line, person.pseudonym)), len(lines))
        write_atomically(path, "".join([*lines[:place], mine, *lines[place + 1 :]]), mode=0o600)


def _as_csv(listed: Sequence[Invitation]) -> str:
    rows = [(one.annotator.label, one.annotator.pseudonym, one.link, one.valid_until) for one in listed]
    return to_csv(("annotator", "pseudonym", "link", "valid until"), rows)


def _is_of(line: str, pseudonym: str) -> bool:
    return next(csv.reader([line]))[1:2] == [pseudonym]


def linked_to(path: Path) -> str:
    """The address to which the links in a file lead; empty where there are none."""
    if not path.is_file():
        return ""
    rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    parts = urlsplit(next((row.get("link") or "" for row in rows), ""))
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def served_at(store: Store, results: Path) -> str:
    """The address at which a queue was served last, by its file of links; empty where none was served."""
    files = (path for id in reversed([*store.annotations.queues()]) for path in results.glob(f"*/{id}/links.csv"))
    return next(filter(None, map(linked_to, files)), "")


def strike_links(results: Path, pseudonym: str) -> None:
    """Take an annotator out of every file of links."""
    for path in results.glob("*/*/links.csv"):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not _is_of(line, pseudonym)]
        if kept != lines:
            write_atomically(path, "".join(kept), mode=0o600)


def serve(store: Store, queue: Queue, bound: socket.socket, origin: str, command: Command) -> None:
    """Serve the queue at a bound socket until it is interrupted: what is being answered then is answered.

    `command` is what was typed, from which the owner's page makes those that come next.
    """
    from sciexam.annotate.owner import OwnerPages

    keep_queue(store, queue)
    links = Links(store)
    pages = Pages(Desk(store, queue), links)
    run(pages.app(origins_of(origin, bound), OwnerPages(store, queue, links, command).routes()), bound)
