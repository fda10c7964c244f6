"""Those who mark, as a plan and a bill see them: how each is asked, and what it calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sciexam.errors import UsageError
from sciexam.exam.plan import Plan
from sciexam.judges.settings import CustomJudge, JudgeSpec
from sciexam.report.planning.costs import Orders
from sciexam.types import Judge


@dataclass(frozen=True, slots=True)
class Marker:
    """One who marks, as a plan sees it. `orders` is "own" where there is no choice: text measures, recorded, humans.

    `model` is what it calls; None for one that calls none, and for a judge of the user's own (`foreign`), of which that
    is not known. `grades`: it marks answers one by one. `named`: the word by which it was asked for, if it was one.
    `recorded`: its verdicts are in a file, and there are no others.
    """

    name: str
    orders: Orders
    repeats: int
    sees_order: bool = True
    human: bool = False
    foreign: bool = False
    model: str | None = None
    grades: bool = False
    named: str | None = None
    recorded: bool = False


def markers_of(plan: Plan, judges: Sequence[str | Judge]) -> Iterator[Marker]:
    """Each bench of the plan once."""
    given: dict[str, str | Judge] = {Path(one).stem: one for one in judges if isinstance(one, str)}  # files, by stems
    given |= {judge if isinstance(judge, str) else judge.name: judge for judge in judges}
    for bench in plan.benches:
        judge = given.get(bench)
        named = judge if isinstance(judge, str) else None
        rater = next((rater for rater in plan.raters if rater.bench == bench), None)
        if rater is not None and rater.part_of:
            members = " ".join(f"--judge {one.name}" for one in plan.raters if one.bench == bench)
            raise UsageError(f"{bench!r} is a {rater.part_of}; plan with its judges one by one: {members}")
        if rater is None or rater.by_name or rater.kind == "human":
            human = rater is None or rater.kind == "human"
            recorded = rater is not None and rater.recorded is not None
            yield Marker(bench, "own", 1, human=human, named=named, recorded=recorded)
            continue
        yield Marker(
            name=bench,
            orders=rater.orders if rater.sees_order else "own",
            repeats=rater.repeats,
            sees_order=rater.sees_order,
            foreign=(judge is not None and named is None) or _is_foreign(plan.suite.judges.get(bench)),
            model=rater.model,
            grades=rater.grades,
            named=named,
        )


def _is_foreign(spec: JudgeSpec | None) -> bool:
    """Whether a judge is a class that is not of this package, whose toys call nobody."""
    return isinstance(spec, CustomJudge) and not spec.backend.startswith("sciexam.")
