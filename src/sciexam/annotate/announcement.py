"""What is served, and to whom, in lines for a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from sciexam.annotate.assignment import repeats_of
from sciexam.annotate.blinding import naming
from sciexam.annotate.desk import kept_queue, served_before
from sciexam.annotate.overview import Overview
from sciexam.annotate.overview_text import stored
from sciexam.annotate.queue import Queue
from sciexam.annotate.serving import Invitation
from sciexam.battles import present
from sciexam.exam.known_people import pseudonyms
from sciexam.report.plain_text import one_line
from sciexam.store import Store
from sciexam.types import ADJUDICATION, Order
from sciexam.web.serving import LOOPBACK, is_answering

ORDERS: tuple[Order, ...] = ("ab", "ba")
WHAT = {"pairs": "pairs", "ranking": "prompts to rank", "demonstrations": "prompts to write for"}


def opening(
    store: Store,
    queue: Queue,
    invited: tuple[Sequence[Invitation], Path, str],
    origin: str,
    address: tuple[str, int],
    rubric_is: str,
) -> Iterator[str]:
    """All that is said when a queue is about to be served: what is otherwise than the last time first.

    `invited` is what `serving.write_invitations` returned.
    """
    invitations, file, linked = invited
    if before := served_before(store, queue.id):
        yield from changes(before, queue)
    yield from replaced(file, linked, origin)
    overview = Overview(store, queue)
    yield from elsewhere(store, overview)
    yield from on_other_scales(store, queue)
    yield from announcement(overview, invitations, file, address, rubric_is)


def announcement(
    overview: Overview, invitations: Sequence[Invitation], file: Path, address: tuple[str, int], rubric_is: str = ""
) -> Iterator[str]:
    """The queue, what should be known of it, the links (which are in `file`, too), and where the page listens.

    `overview`: how far it is. `rubric_is`: where it comes from, such as "the default"; empty where it was named.
    """
    queue = overview.queue
    drawn = "" if queue.draw.taken == queue.draw.drawn_from else f", drawn at random from {queue.draw.drawn_from}"
    what = f"{len(queue.ordinary)} {WHAT[queue.task]} of {queue.draw.taken} prompts{drawn}"
    each = (
        f"{queue.overlap} annotator{'' if queue.overlap == 1 else 's'} for each, so about {queue.expected} an annotator"
    )
    yield f"Queue {queue.id}: {what}; {each}{_checks(queue)}."
    why = f" ({rubric_is}; --rubric NAME or FILE for another)" if rubric_is else ""
    if overview.judgements or overview.outside:
        yield f"So far {stored(overview)}; {overview.complete}/{len(queue.ordinary)} items complete."
    yield f"Rubric: {queue.rubric.rubric}{why}"
    yield from _notes(queue, sum(not (one.annotator.is_owner or one.ended) for one in invitations))
    yield from links_of(invitations)
    yield f"The links are in {file}, too. Whoever has one judges in that name."
    if all(urlsplit(one.link).hostname in LOOPBACK for one in invitations):
        yield "The links open on this machine alone; for others: --host 0.0.0.0 --public-url http://ADDRESS:PORT"
    yield f"Listening on {address[0]}, port {address[1]}. Ctrl-C stops."


def elsewhere(store: Store, overview: Overview) -> Iterator[str]:
    """That pairs of the queue have verdicts of people from elsewhere, an import or another queue, and come again."""
    pairs = list(overview.queue.comparisons())
    place = {present(one, order).subject: number for number, one in enumerate(pairs) for order in ORDERS}
    here = {(verdict.rater, place[verdict.subject]) for _, verdict in overview.bench.verdicts}
    said, known = store.human_verdicts(place), pseudonyms(store.annotators.all())
    raters = ((known.get(one.rater, one.rater), place[one.subject]) for one in said)
    other = {(rater, number) for rater, number in raters if rater != ADJUDICATION} - here
    if other:
        judged, people = len({number for _, number in other}), len({rater for rater, _ in other})
        have = f"{judged} of these {len(pairs)} pairs {'has' if judged == 1 else 'have'}"
        yield (
            f"{have} verdicts of {people} annotator{'s' if people > 1 else ''} from elsewhere (`annotate import`, or "
            "another queue). They count, but not in this queue, which asks for these pairs again."
        )


def on_other_scales(store: Store, queue: Queue) -> Iterator[str]:
    """The queues of the same contestants and rubric on another scale that people have judged in."""
    for before in (kept_queue(store, body) for id, body in store.annotations.queues().items() if id != queue.id):
        alike = all(
            getattr(before, name) == getattr(queue, name) for name in ("suite", "task", "contestants", "rubric")
        )
        if alike and before.scale != queue.scale and store.annotations.judgements(before.id):
            yield (
                f"Queue {before.id} of the same contestants has {stored(Overview(store, before))}, on another scale; "
                f"to go on with it, Ctrl-C, and the same command with --scale {before.scale}."
            )


def changes(before: Queue, queue: Queue) -> Iterator[str]:
    """What is otherwise than when the queue was served last, and the options that make it as it was."""
    held, holds = _held(before), _held(queue)
    other = [place for place, (had, has) in enumerate(zip(held, holds, strict=True)) if had != has]
    if other:
        had, has = (", ".join(phrases[place] for place in other) for phrases in (held, holds))
        yield f"This queue had {had}; now {has}. What was judged stays."
    if flags := _as_before(before, queue):
        yield f"To keep it as it was, Ctrl-C, and the same command {flags}."


def _held(queue: Queue) -> tuple[str, ...]:
    """What a queue holds, and how much of it, in words."""
    return (
        f"{len(queue.ordinary)} {WHAT[queue.task]} of {queue.draw.taken} prompts",
        f"{queue.overlap} annotator{'' if queue.overlap == 1 else 's'} for each",
        f"{len(queue.gold)} gold item{'' if len(queue.gold) == 1 else 's'}",
        f"{queue.repeats} pair{'' if queue.repeats == 1 else 's'} shown twice",
    )


def _as_before(before: Queue, queue: Queue) -> str:
    """The options that make the queue again as it was."""
    drawn, samples = before.draw.taken, [1 + max(item.sample for item in one.ordinary) for one in (before, queue)]
    given = {
        f"--draw {drawn}": drawn != queue.draw.taken and drawn < queue.draw.drawn_from,
        f"--samples {samples[0]}": samples[0] != samples[1],
        f"--overlap {before.overlap}": before.overlap != queue.overlap,
        f"--repeats {before.repeats}": before.repeats != queue.repeats,
        "--gold FILE": len(before.gold) > len(queue.gold),
    }
    left_out = {
        "--draw": drawn > queue.draw.taken and drawn == queue.draw.drawn_from,
        "--gold": bool(queue.gold) and not before.gold,
    }
    parts = [
        (word, [option for option, is_so in options.items() if is_so])
        for word, options in (("with", given), ("without", left_out))
    ]
    return " and ".join(f"{word} {' '.join(options)}" for word, options in parts if options)


def replaced(file: Path, before: str, origin: str) -> Iterator[str]:
    """That `file` held links to another address: which still open something while a server answers there."""
    if before and before != origin:
        still = "; a server answers there still: perhaps this study is served twice" if is_answering(before) else ""
        yield f"{file} held links to {before}, which are replaced by those to {origin}{still}."


def links_of(invitations: Sequence[Invitation]) -> Iterator[str]:
    """Who is invited, and the link, or why it opens nothing."""
    labels = [one_line(one.annotator.label) for one in invitations]
    width = max(map(len, labels), default=0)
    for label, one in zip(labels, invitations, strict=True):
        renew = f"sciexam annotate link --renew -- {shlex.quote(label)}"
        link = f"({one.ended}; a new link: {renew})" if one.ended else one.link
        yield f"  {label:<{width}}  {link}"


def _checks(queue: Queue) -> str:
    """What is shown beside, as it is and not as it was asked for: second showings need pairs between."""
    gold = f"; {len(queue.gold)} gold item{'' if len(queue.gold) == 1 else 's'}" if queue.gold else ""
    again = repeats_of(queue)
    return f"{gold}; {again} pair{'' if again == 1 else 's'} shown twice to each" if queue.repeats else gold


def _notes(queue: Queue, annotators: int) -> Iterator[str]:
    if annotators < queue.overlap:
        who = f"{annotators} annotator{'' if annotators == 1 else 's'}"
        yield f"{who} cannot complete an item that asks for {queue.overlap}: add some, or --overlap."
    if queue.identical:
        are = "pair is" if queue.identical == 1 else "pairs are"
        yield f"{queue.identical} {are} not shown: both answers read the same, or the two were shown already."
    if queue.unanswered:
        lack = "prompt lacks" if queue.unanswered == 1 else "prompts lack"
        yield f"{queue.unanswered} {lack} an answer of somebody; `sciexam check` and the same command try again."
    named, answers = naming(queue)
    if named:
        yield f"{named} of {answers} answers ({named / answers:.0%}) name a model, and may tell who wrote them."
