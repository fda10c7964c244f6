"""What a published file claims, leaf by leaf, held against what sciexam computes from the same rows.

A leaf is whatever stands at the end of a path of keys: a number, a word, or a list of numbers. A rule says what becomes
of the leaves whose paths match it, the first rule that matches. Nothing passes without one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

Keys = tuple[str, ...]
Expected = Any  # a figure, or a function from the path of the leaf to it


@dataclass(frozen=True, slots=True)
class Reproduced:
    """Our figure is `within` this of the published one; 0 is equal. `why`: the reason for a wide margin."""

    paths: str
    within: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Differs:
    """The published figure does not follow from the rows, or not by the rule we hold to; `why` is the reason.

    `ours`: what the rows give, known from elsewhere than the code under test. `theirs`: what the origin's own way makes
    of the rows, done again with sciexam's functions where that can be done, and the printed figure otherwise.
    """

    paths: str
    why: str
    ours: Expected
    theirs: Expected
    within: float = 0.0
    theirs_within: float = 0.0


@dataclass(frozen=True, slots=True)
class Named:
    """Not a figure that sciexam computes; `what` says what it is."""

    paths: str
    what: str


Rule = Reproduced | Differs | Named


@dataclass(frozen=True, slots=True)
class Claim:
    """A published file as nested dictionaries, our figures under the same keys, and the rules."""

    published: Mapping[str, Any]
    ours: Mapping[str, Any]
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """How many leaves went which way; `faults` has a sentence for each that went none, and for each idle rule."""

    reproduced: int
    differs: int
    named: int
    faults: tuple[str, ...]

    def __str__(self) -> str:
        leaves = self.reproduced + self.differs + self.named
        return (
            f"{self.reproduced:,} of {leaves:,} leaves reproduced, {self.differs:,} differ for a stated reason, "
            f"{self.named:,} are no figures of ours, {len(self.faults):,} faults"
        )


def decimals(places: int) -> float:
    """The margin of a figure that was rounded to so many decimals."""
    return 0.5000001 * 10.0**-places


def leaves(tree: Any, above: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """All leaves with their paths. Only dictionaries have branches: a list is one leaf."""
    if not isinstance(tree, Mapping):
        yield above, tree
        return
    for key, branch in tree.items():
        yield from leaves(branch, (*above, str(key)))


def account(claim: Claim) -> Account:
    """Every leaf of the published file under the first rule that matches it."""
    counts: dict[type, int] = {Reproduced: 0, Differs: 0, Named: 0}
    faults: list[str] = []
    idle = list(claim.rules)
    for path, published in leaves(claim.published):
        rule = rule_for(claim, path)
        if rule is None:
            faults.append(f"{'/'.join(path)}: no rule accounts for {published!r}")
            continue
        if rule in idle:
            idle.remove(rule)
        fault = _fault(rule, path, published, claim.ours)
        if fault:
            faults.append(f"{'/'.join(path)}: {fault}")
        else:
            counts[type(rule)] += 1
    faults += [f"{rule.paths}: nothing in the file is there" for rule in idle]
    return Account(counts[Reproduced], counts[Differs], counts[Named], tuple(faults))


def rule_for(claim: Claim, path: Keys) -> Rule | None:
    return next((rule for rule in claim.rules if _matches(rule.paths, path)), None)


def _matches(paths: str, path: Keys) -> bool:
    """`paths` has a part for each key, parted by "/": "*" is any key, "x|y" is one of these."""
    parts = paths.split("/")
    return len(parts) == len(path) and all(
        part == "*" or key in part.split("|") for part, key in zip(parts, path, strict=True)
    )


def _fault(rule: Rule, path: Keys, published: Any, figures: Any) -> str:
    if isinstance(rule, Named):
        return ""
    found = figures
    for key in path:
        if not isinstance(found, Mapping) or key not in found:
            return f"published {published!r}, and we compute nothing there"
        found = found[key]
    if isinstance(rule, Reproduced):
        return "" if near(found, published, rule.within) else f"published {published!r}, ours {found!r}"
    ours, theirs = (known(path) if callable(known) else known for known in (rule.ours, rule.theirs))
    if not near(found, ours, rule.within):
        return f"ours is {found!r}, expected {ours!r}"
    if not near(published, theirs, rule.theirs_within):
        return f"published {published!r}, and the origin's way gives {theirs!r}"
    return f"published {published!r} is ours after all" if near(published, ours, rule.within) else ""


def near(a: Any, b: Any, within: float) -> bool:
    """Whether two leaves are the same: numbers within the margin, lists number by number, anything else exactly."""
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(near(x, y, within) for x, y in zip(a, b, strict=True))
    if _is_number(a) and _is_number(b):
        return bool(abs(a - b) <= within)
    return type(a) is type(b) and bool(a == b)


def _is_number(leaf: Any) -> bool:
    return isinstance(leaf, (int, float)) and not isinstance(leaf, bool)


def moved(claim: Claim) -> Claim:
    """The same claim with every published figure off by three times its margin; all of it should be found wrong."""

    def changed(tree: Any, path: Keys = ()) -> Any:
        if isinstance(tree, Mapping):
            return {key: changed(branch, (*path, str(key))) for key, branch in tree.items()}
        rule = rule_for(claim, path)
        if rule is None or isinstance(rule, Named):
            return tree
        margin = rule.within if isinstance(rule, Reproduced) else rule.theirs_within
        return _off(tree, 3 * margin or 1)

    return replace(claim, published=changed(claim.published))


def _off(leaf: Any, by: float) -> Any:
    if isinstance(leaf, (list, tuple)):
        return [_off(leaf[0], by), *leaf[1:]]
    if isinstance(leaf, bool):
        return not leaf
    return leaf + by if _is_number(leaf) else f"not {leaf}"


def grown(claim: Claim) -> tuple[Claim, int]:
    """The same claim with a new figure in every dictionary of the file, and how many that are."""
    added = 0

    def larger(tree: Any) -> Any:
        nonlocal added
        if not isinstance(tree, Mapping):
            return tree
        added += 1
        return {key: larger(branch) for key, branch in tree.items()} | {"a new figure": 0.5}

    return replace(claim, published=larger(claim.published)), added
