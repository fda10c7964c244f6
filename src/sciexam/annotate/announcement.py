"""What is served, and to whom, in lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from sciexam.annotate.assignment import repeats_of
from sciexam.annotate.blinding import naming
from sciexam.annotate.queue import Queue
from sciexam.annotate.serving import Invitation
from sciexam.report.plain_text import one_line
from sciexam.web.serving import LOOPBACK, is_answering

WHAT = {"pairs": "pairs", "ranking": "prompts to rank", "demonstrations": "prompts to write for"}


def announcement(
    queue: Queue, invitations: Sequence[Invitation], file: Path, address: tuple[str, int], rubric_is: str = ""
) -> Iterator[str]:
    """The queue, what should be known of it, the links (which are in `file`, too), and where the page listens.

    `rubric_is`: where it comes from, such as "the default"; empty where it was named.
    """
    drawn = "" if queue.draw.taken == queue.draw.drawn_from else f", drawn at random from {queue.draw.drawn_from}"
    what = f"{len(queue.ordinary)} {WHAT[queue.task]} of {queue.draw.taken} prompts{drawn}"
    yield f"Queue {queue.id}: {what}; {queue.overlap} annotators for each{_checks(queue)}."
    why = f" ({rubric_is}; --rubric NAME or FILE for another)" if rubric_is else ""
    yield f"Rubric: {queue.rubric.rubric}{why}"
    yield from _notes(queue, sum(not one.annotator.is_owner for one in invitations))
    yield from links_of(invitations)
    yield f"The links are in {file}, too. Whoever has one judges in that name."
    if all(urlsplit(one.link).hostname in LOOPBACK for one in invitations):
        yield "The links open on this machine alone; for others: --host 0.0.0.0 --public-url http://ADDRESS:PORT"
    yield f"Listening on {address[0]}, port {address[1]}. Ctrl-C stops."


def changes(before: Queue, queue: Queue) -> Iterator[str]:
    """What is otherwise than when the queue was served last."""
    told = {
        "prompts": (before.draw.taken, queue.draw.taken),
        "annotators for each": (before.overlap, queue.overlap),
        "gold items": (len(before.gold), len(queue.gold)),
        "pairs shown twice": (before.repeats, queue.repeats),
    }
    other = {what: counts for what, counts in told.items() if counts[0] != counts[1]}
    if other:
        had = " and ".join(f"{count} {what}" for what, (count, _) in other.items())
        yield f"This queue had {had}; now {' and '.join(str(now) for _, now in other.values())}. What was judged stays."


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
        link = f"({one.ended}; a new link: sciexam annotate link NAME --renew)" if one.ended else one.link
        yield f"  {label:<{width}}  {link}"


def _checks(queue: Queue) -> str:
    """What is shown beside, as it is and not as it was asked for: second showings need pairs between."""
    gold = f"; {len(queue.gold)} gold items" if queue.gold else ""
    return f"{gold}; {repeats_of(queue)} pairs shown twice to each" if queue.repeats else gold


def _notes(queue: Queue, annotators: int) -> Iterator[str]:
    if annotators < queue.overlap:
        yield f"{annotators} annotators cannot complete an item that asks for {queue.overlap}: add some, or --overlap."
    if queue.identical:
        yield f"{queue.identical} pairs are not shown: both answers are one text, or the two were shown already."
    if queue.unanswered:
        yield f"{queue.unanswered} prompts lack an answer of somebody; `sciexam check` and the same command try again."
    named, answers = naming(queue)
    if named:
        yield f"{named} of {answers} answers ({named / answers:.0%}) name a model, and may tell who wrote them."
