"""Opinions on candidates: how far each answer to a prompt is ahead of each other one, by a judge or by people.

Every answer is a contestant of its own here, so that two answers of one model are compared as those of two models are.
"""

from __future__ import annotations

import re
import shlex
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from sciexam.battles import Battle, cluster
from sciexam.digests import digest
from sciexam.errors import UsageError
from sciexam.exam.benches import human_bench
from sciexam.exam.plan import make_plan
from sciexam.exam.reading import Reading
from sciexam.exam.references import with_references
from sciexam.exam.runs import check_all_ready, hold, opened
from sciexam.exam.sitting import Sitting
from sciexam.files import write_atomically
from sciexam.judges.settings import JudgeSpec
from sciexam.lineage.sources import Judged
from sciexam.report.evidence import Bench
from sciexam.stats import Estimate, Undefined, mean
from sciexam.stats.sides import side_of
from sciexam.train.data.candidates import Asked, answer_lines, check_asked, recorded, terms_for
from sciexam.train.workshop import Workshop
from sciexam.types import Comparison, Response

# By the places of two answers, the earlier one first: how far that one is ahead; None where nobody said.
Ahead = Mapping[tuple[int, int], float | None]


def by_verdicts(workshop: Workshop, asked: Sequence[Asked], by: str, judge: JudgeSpec) -> list[Ahead]:
    """What a judge says of every pair, shown in both orders: 1 or -1 where both name one answer, else 0.

    Of several raters behind its name the mean. Every verdict is a fact in the ledger. Raises Incomplete where the
    budget does not suffice.
    """
    apart = [_apart(one) for one in asked]
    with recorded(workshop.suite, apart, judge, by) as suite:
        terms = terms_for(workshop, suite)
        plan, models = make_plan(suite, suite.contestants, [by], "both", "conservative", None, "category", None, terms)
        with opened(workshop.store, workshop.results, terms) as ledger:
            check_all_ready(plan, models, ledger)
            stop = workshop.stop or threading.Event()
            sitting = Sitting(plan, ledger, stop, workshop.progress, retry_invalid=False, terms=terms)
            manifest = hold(sitting, plan, models, ledger)
            check_asked(sitting.calls.unasked)
            read = Reading(with_references(plan, ledger), ledger, sitting.calls, sitting.skipped, manifest)
            said = [battle for _, benches in read.by_pair() for bench in benches for battle in bench.settled]
    return _ahead(apart, said)


def by_people(workshop: Workshop, how: Judged, asked: Sequence[Asked]) -> list[Ahead]:
    """What annotators have said of these pairs by now, on average; an adjudication stands for all of them.

    Raises UsageError where nobody has, with what to type to have them asked.
    """
    apart = [_apart(one) for one in asked]
    bench = _people(workshop, apart)
    if not bench.settled:
        raise UsageError(
            f"judge: humans: nobody has compared any of these answers yet; let people do it, and train again:\n"
            f"  {_invitation(workshop, how, asked)}"
        )
    return _ahead(apart, bench.settled)


def agreement_of_people(workshop: Workshop, asked: Sequence[Asked]) -> Estimate | Undefined:
    """How often two annotators who both name a side on one pair name the same one, with an interval over prompts."""
    apart = [_apart(one) for one in asked]
    units = {one.prompt.id: cluster(one.prompt) for one in apart}
    by_pair: dict[tuple[str, str, str], list[int]] = {}
    for battle in _people(workshop, apart).battles:
        if battle.score is not None and (side := int(side_of(battle.score))):
            by_pair.setdefault((battle.a, battle.b, battle.prompt), []).append(side)
    same = [(one == other, units[key[2]]) for key, sides in by_pair.items() for one, other in combinations(sides, 2)]
    if not same:
        return Undefined("no pair was judged by two annotators who both name a side")
    return mean([float(agree) for agree, _ in same], [unit for _, unit in same], low=0.0, high=1.0)


def _people(workshop: Workshop, apart: Sequence[Asked]) -> Bench:
    pairs = [Comparison(one.prompt, a, b) for one in apart for a, b in combinations(one.answers, 2)]
    with opened(workshop.store, workshop.results, terms_for(workshop, workshop.suite)) as ledger:
        return human_bench(ledger, pairs, "conservative")


def _ahead(apart: Sequence[Asked], said: Iterable[Battle]) -> list[Ahead]:
    scores: dict[tuple[str, str, str], list[float]] = {}
    for battle in said:
        if battle.score is not None:
            scores.setdefault((battle.prompt, battle.a, battle.b), []).append(2 * battle.score - 1)
            scores.setdefault((battle.prompt, battle.b, battle.a), []).append(1 - 2 * battle.score)

    def ahead(one: Asked, i: int, j: int) -> float | None:
        given = scores.get((one.prompt.id, one.answers[i].contestant, one.answers[j].contestant))
        return sum(given) / len(given) if given else None

    return [{(i, j): ahead(one, i, j) for i, j in combinations(range(len(one.answers)), 2)} for one in apart]


def _apart(one: Asked) -> Asked:
    return Asked(one.prompt, tuple(map(_as_contestant, one.answers)))


def _as_contestant(answer: Response) -> Response:
    return replace(answer, contestant=f"{answer.contestant} ({answer.sample + 1})", sample=0)


# ---------------------------------------------------------------- whom to ask


def _invitation(workshop: Workshop, how: Judged, asked: Sequence[Asked]) -> str:
    """The command that has people compare these very answers, which it finds in files."""
    folder = workshop.results.absolute() / "candidates" / digest(how)[:12]
    files = list(_written(folder, how, asked))
    options = ["--prompts", how.prompts, "--samples", str(how.n), "--rubric", workshop.suite.rubric.rubric]
    options += ["--store", str(workshop.store)] if workshop.store else []
    return shlex.join(["sciexam", "annotate", "serve", *files, *options, "--results", str(workshop.results)])


def _written(folder: Path, how: Judged, asked: Sequence[Asked]) -> Iterator[str]:
    for name in how.of:
        path = folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', name)}.jsonl"
        write_atomically(path, answer_lines(asked, name))
        yield str(path)
