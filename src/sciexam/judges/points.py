"""From a grader's reply to points: one strict grammar, and whatever does not match it is invalid, never a guess."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sciexam.rubric import Criterion, Rubric

SCORE = "Score: "
_LIKE_A_SCORE = re.compile(r"score\s*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Points:
    """What a reply gives on each criterion, in the criterion's points; `failure` is set where it gives nothing usable.

    A failure names a criterion and never repeats what the reply said.
    """

    criteria: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    failure: str = ""


def parse_grades(text: str, nonce: str, criteria: Sequence[Criterion]) -> Points:
    """`GRADE <nonce> <criterion>: <word>` as the last lines: one for each criterion, in any order, and no other."""
    lines = [line.strip() for line in text.rstrip().splitlines()]
    head = f"GRADE {nonce} "
    graded = [line for line in lines if line.startswith(head)]
    if not graded:
        return Points(failure="no grade line")
    words = {criterion.name: criterion.words for criterion in criteria}
    found: dict[str, float] = {}
    for line in graded:
        name, _, word = line.removeprefix(head).partition(": ")
        if name not in words:
            return Points(failure="a grade on no criterion of the rubric")
        if name in found:
            return Points(failure=f"criterion {name!r}: two grades")
        if word not in words[name]:
            return Points(failure=f"criterion {name!r}: not one of its grades")
        found[name] = float(words[name][word])
    if missing := [name for name in words if name not in found]:
        return Points(failure=f"criterion {missing[0]!r}: no grade line")
    if lines[-len(graded) :] != graded:
        return Points(failure="the grades are not the last lines")
    return Points(found, "\n".join(lines[: -len(graded)]).strip())


def parse_score(text: str, criteria: Sequence[Criterion], answer: str) -> Points:
    """`Score: <word>` as the last line, and no other such line: a mark on the one criterion, without a nonce.

    `answer` is what is marked. Where it holds such a line itself, no reply is usable: a judge that repeats the line
    looks like one that gives the mark.
    """
    if _LIKE_A_SCORE.search(answer):
        return Points(failure="the answer holds a score, which could be repeated for a mark")
    (criterion,) = criteria
    lines = [line.strip() for line in text.rstrip().splitlines()]
    scored = [line for line in lines if line.startswith(SCORE)]
    if not scored or lines[-1] != scored[-1]:
        return Points(failure="the last line is no score")
    if len(scored) > 1:
        return Points(failure="two scores")
    if (word := scored[0].removeprefix(SCORE)) not in criterion.words:
        return Points(failure=f"criterion {criterion.name!r}: not one of its grades")
    return Points({criterion.name: float(criterion.words[word])}, "\n".join(lines[:-1]).strip())


def total(points: Mapping[str, float], rubric: Rubric) -> float:
    """The weighted mean over the criteria of (points - lowest) / (highest - lowest), in [0, 1]."""
    share = {c.name: (points[c.name] - c.points[0]) / (c.points[1] - c.points[0]) for c in rubric.criteria}
    weight = sum(c.weight for c in rubric.criteria)
    return min(1.0, max(0.0, sum(c.weight * share[c.name] for c in rubric.criteria) / weight))
