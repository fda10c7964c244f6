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
    each = (
        f"{queue.overlap} annotator{'' if queue.overlap == 1 else 's'} for each, so about {queue.expected} an annotator"
    )
    yield f"Queue {queue.id}: {what}; {each}{_checks(queue)}."
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
        WHAT[queue.task]: (len(before.ordinary), len(queue.ordinary)),
        "prompts": (before.draw.taken, queue.draw.taken),
        "annotators for each": (before.overlap, queue.overlap),
        "gold items": (len(before.gold), len(queue.gold)),
        "pairs shown twice": (before.repeats, queue.repeats),
    }
    other = {what: counts for what, counts in told.items() if counts[0] != counts[1]}
    if other:
        had = ", ".join(f"{count} {what}" for what, (count, _) in other.items())
        yield f"This queue had {had}; now {', '.join(str(now) for _, now in other.values())}. What was judged stays."
    if len(queue.ordinary) > len(before.ordinary) and (flags := _as_before(before, queue)):
        yield f"To keep it as it was, Ctrl-C, and the same command with {flags}."


def _as_before(before: Queue, queue: Queue) -> str:
    """The options that make the smaller queue again."""
    drawn, samples = before.draw.taken, 1 + max(item.sample for item in before.ordinary)
    fewer = samples < 1 + max(item.sample for item in queue.ordinary)
    flags = (f"--draw {drawn}" if drawn < queue.draw.taken else "", f"--samples {samples}" if fewer else "")
    return " ".join(filter(None, flags))


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
        are = "pair is" if queue.identical == 1 else "pairs are"
        yield f"{queue.identical} {are} not shown: both answers are one text, or the two were shown already."
    if queue.unanswered:
        lack = "prompt lacks" if queue.unanswered == 1 else "prompts lack"
        yield f"{queue.unanswered} {lack} an answer of somebody; `sciexam check` and the same command try again."
    named, answers = naming(queue)
    if named:
        yield f"{named} of {answers} answers ({named / answers:.0%}) name a model, and may tell who wrote them."
