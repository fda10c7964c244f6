"""Which item an annotator is shown next, and how it is laid out. Nothing is asked or written here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sciexam.annotate.queue import Item, Queue
from sciexam.digests import digest
from sciexam.store.annotations import Assignment, Load, Slots

APART = 4  # judgements at least between the first and the second showing of a pair

Loads = Mapping[str, Load]
NOBODY = Load()


def next_item(
    queue: Queue, annotator: int, mine: Sequence[Assignment], loads: Loads, now: int
) -> tuple[str, Slots] | None:
    """The item that comes next for an annotator, with its layout; None where nothing is left, or others hold the rest.

    First what the annotator has before them (what was taken back before the others), then gold and second showings
    where they are due, then the first item of the queue that still needs a judgement. `now` is UTC in milliseconds.
    """
    held = {one.item: one for one in mine}
    waiting = [one for one in mine if one.choice is None and _is_theirs(queue, one, loads, now)]
    if waiting:
        first = min(waiting, key=lambda one: (one.turns == 0, one.at))
        return first.item, first.shown
    if check := _due_check(queue, annotator, held):
        return check
    item = next((item for item in queue.ordinary if item.id not in held and _has_room(queue, item.id, loads)), None)
    return None if item is None else (item.id, layout_of(queue, item, annotator, loads.get(item.id, NOBODY)))


def remaining(queue: Queue, mine: Sequence[Assignment], loads: Loads, now: int) -> int:
    """How many more items the annotator may be shown."""
    held = {one.item: one for one in mine}
    open_items = sum(one.choice is None and _is_theirs(queue, one, loads, now) for one in mine)
    fresh = sum(item.id not in held and _has_room(queue, item.id, loads) for item in queue.ordinary)
    own_share = queue.expected - sum(item.id in held for item in queue.ordinary)
    # Past one's share there is always one more, as long as anything is left.
    ordinary = min(fresh, own_share) if own_share > 0 else min(fresh, 1 - min(open_items, 1))
    gold = sum(item.id not in held for item in queue.gold)
    again = max(0, repeats_of(queue) - sum(one.item in queue.repeated for one in mine))
    # Checks come in between: after the last ordinary item there are none.
    return open_items + ordinary + (gold + again if ordinary or open_items else 0)


def are_held(queue: Queue, mine: Sequence[Assignment], loads: Loads) -> bool:
    """Whether others have items before them that come back if they do not judge them."""
    held = {one.item for one in mine if one.choice is not None}
    return any(
        load.leased and load.judged < queue.overlap
        for item in queue.ordinary
        if item.id not in held and (load := loads.get(item.id, NOBODY))
    )


def layout_of(queue: Queue, item: Item, annotator: int, load: Load) -> Slots:
    """The order in which the texts are laid out: the layout that fewer of the others have, or else the drawn one.

    Several texts lie in an order that the seed draws for each annotator.
    """
    if len(item.texts) != 2:
        order = sorted(range(len(item.texts)), key=lambda slot: digest([queue.lot, "lay", item.id, annotator, slot]))
        return tuple(order)
    drawn = queue.layouts[item.id]
    if len(load.layouts) % 2 == 0 and load.layouts.count((0, 1)) * 2 == len(load.layouts):
        flipped = len(load.layouts) > 0 and int(digest([queue.lot, "flip", item.id, annotator]), 16) % 2
        return drawn[::-1] if flipped else drawn
    return (1, 0) if load.layouts.count((0, 1)) * 2 > len(load.layouts) else (0, 1)


def _is_theirs(queue: Queue, one: Assignment, loads: Loads, now: int) -> bool:
    """Whether an item that was given is still the annotator's to judge: while the lease lasts, or nobody took it."""
    if one.item not in queue.by_id:
        return False
    ordinary = queue.by_id[one.item].kind != "gold" and one.item not in queue.repeated
    return not ordinary or one.until > now or _has_room(queue, one.item, loads)


def _has_room(queue: Queue, item: str, loads: Loads) -> bool:
    load = loads.get(item, NOBODY)
    return load.judged + load.leased < queue.overlap


def _due_check(queue: Queue, annotator: int, held: Mapping[str, Assignment]) -> tuple[str, Slots] | None:
    """A gold item or the second showing of a pair, where it is due: spread over what the annotator is to judge."""
    judged = [item for item in queue.ordinary if item.id in held and held[item.id].choice is not None]
    places = list(_places(queue, annotator, "gold", len(queue.gold)))
    for place, item in zip(places, queue.gold, strict=True):
        if item.id not in held and len(judged) >= place:
            return item.id, layout_of(queue, item, annotator, Load())[:: _coin(queue, annotator, item.id)]
    shown = sum(one in queue.repeated for one in held)
    if shown < repeats_of(queue) and len(judged) >= list(_places(queue, annotator, "again", repeats_of(queue)))[shown]:
        return _second_showing(queue, annotator, held, judged)
    return None


def _second_showing(
    queue: Queue, annotator: int, held: Mapping[str, Assignment], judged: Sequence[Item]
) -> tuple[str, Slots] | None:
    """One of the pairs judged some time ago, drawn from the seed, the other way round."""
    in_turn = sorted(judged, key=lambda item: held[item.id].at)[:-APART]
    free = [item for item in in_turn if item.kind == "pair" and queue.again(item) not in held]
    if not free:
        return None
    item = min(free, key=lambda item: digest([queue.lot, "again", annotator, item.id]))
    return queue.again(item), held[item.id].shown[::-1]


def repeats_of(queue: Queue) -> int:
    """Second showings for each annotator: no more than there are pairs far enough apart."""
    return max(0, min(queue.repeats, queue.expected - APART - 1))


def _places(queue: Queue, annotator: int, what: str, count: int) -> Iterator[int]:
    """After how many judgements each of `count` checks is due: one in each of so many equal stretches, drawn."""
    for number in range(count):
        drawn = int(digest([queue.lot, what, annotator, number])[:8], 16) / 2**32
        yield int((number + drawn) * queue.expected / count)


def _coin(queue: Queue, annotator: int, item: str) -> int:
    return 1 if int(digest([queue.lot, "coin", annotator, item]), 16) % 2 else -1
