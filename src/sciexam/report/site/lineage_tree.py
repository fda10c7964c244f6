"""The lineage of a board as nested records: who was trained from whom, by which stages, and what that gained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sciexam.report.gains import Gain


@dataclass(frozen=True, slots=True)
class Branch:
    """A contestant with its descendants. `gain` leads to it from the branch above; None at a root."""

    contestant: str
    gain: Gain | None
    children: tuple[Branch, ...]


def lineage_tree(gains: Sequence[Gain]) -> tuple[Branch, ...]:
    """The trees of all who descend from another contestant, or have a descendant; roots in the order they are named.

    Whoever descends from itself in a record stands nowhere: `lineage.faults` refuses such a suite.
    """
    by_child = {gain.contestant: gain for gain in reversed(gains)}
    own = tuple(reversed(by_child.values()))  # one parent each, so that what hangs below a root is a tree
    roots = dict.fromkeys(gain.parent for gain in own if gain.parent not in by_child)
    return tuple(_branch(root, None, own) for root in roots)


def descent_of(contestant: str, gains: Sequence[Gain]) -> tuple[Gain, ...]:
    """The gains on the way from the oldest ancestor to a contestant, in this order."""
    way: list[Gain] = []
    by_child = {gain.contestant: gain for gain in gains}
    while (gain := by_child.get(contestant)) is not None and gain not in way:
        way.append(gain)
        contestant = gain.parent
    return tuple(reversed(way))


def _branch(contestant: str, gain: Gain | None, gains: Sequence[Gain]) -> Branch:
    below = [one for one in gains if one.parent == contestant]
    return Branch(contestant, gain, tuple(_branch(one.contestant, one, gains) for one in below))
