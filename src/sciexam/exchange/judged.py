"""What raters said, as lines of data: one for each verdict, and one for each battle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from sciexam.battles import Battle
from sciexam.errors import UsageError
from sciexam.exam.reading import Reading
from sciexam.report.data_file import Columns
from sciexam.report.evidence import Bench
from sciexam.stats.sides import side_of
from sciexam.types import ADJUDICATION, Presentation, Verdict

Line = dict[str, Any]
Omissions = Counter[str]  # how many did not become a line, by the reason
NOT_THERE = "an answer that the imported files do not hold"
OTHERWISE = "a file has another verdict of the same annotator"

VERDICTS: Columns = {
    "prompt": "text",
    "first": "text",
    "second": "text",
    "preferred": "text",
    "strength": "text",
    "probability_second": "number",
    "failure": "text",
    "rater": "text",
    "kind": "text",
    "judge": "text",
    "sample": "integer",
    "repeat": "integer",
    "order": "text",
    "status": "text",
    "reason": "text",
    "criteria": "json",
    "key": "text",
}

BATTLES: Columns = {
    "prompt": "text",
    "model_a": "text",
    "model_b": "text",
    "winner": "text",
    "score_a": "number",
    "agreed": "truth",
    "score_ab": "number",
    "score_ba": "number",
    "preference_b": "number",
    "rater": "text",
    "judge": "text",
    "sample": "integer",
    "status": "text",
    "failure": "text",
}


def verdict_lines(read: Reading, left_out: Omissions) -> Iterator[Line]:
    """A line for each verdict, with the keys of a file of recorded verdicts, and what else is known of it.

    A verdict on several benches (a judge by itself, and in a panel) is one line. Verdicts that follow from marks are
    those of their judge, where somebody who compares has the name of who gave the marks. A person is one by name,
    whichever files they stand in: what they say otherwise in a later one is left out, and counted. Raises UsageError
    where two judges have one name all the same.
    """
    renamed = _named_by_bench(read)
    for _, benches in read.by_pair():
        seen: dict[tuple[Any, ...], Verdict] = {}
        for bench in benches:
            for shown, verdict in _said(bench, left_out):
                verdict = replace(verdict, rater=renamed.get((bench.name, verdict.rater), verdict.rater))
                slot = (verdict.rater, shown.prompt.id, shown.first_by, shown.second_by, shown.sample, shown.repeat)
                if slot not in seen:
                    yield _verdict(bench, shown, verdict)
                    seen[slot] = verdict
                elif verdict.kind == "human":
                    if verdict.preferred != seen[slot].preferred:
                        left_out[f"verdict by {bench.name}: {OTHERWISE}"] += 1
                elif seen[slot].key != verdict.key:
                    raise UsageError(
                        f"two raters are called {verdict.rater!r}, and would be one in the file; name one judge at a "
                        "time with --judge"
                    )


def _named_by_bench(read: Reading) -> dict[tuple[str, str], str]:
    """What to call those who gave marks, by bench and name, where a rater that compares has their name."""
    raters = read.plan.raters
    compare = {rater.name for rater in raters if not rater.grades}
    return {
        (rater.bench, rater.name): rater.bench if single else f"{rater.bench}: {rater.name}"
        for rater in raters
        if rater.grades and rater.name in compare
        for single in [sum(one.bench == rater.bench for one in raters) == 1]
    }


def _said(bench: Bench, left_out: Omissions) -> Iterator[tuple[Presentation, Verdict]]:
    """What was said; what was not is told once for each comparison of which a rater said nothing at all."""
    spoke = {_place(shown, verdict) for shown, verdict in bench.verdicts if verdict.status != "skipped"}
    silent: dict[tuple[Any, ...], str] = {}
    for shown, verdict in bench.verdicts:
        if verdict.rater == ADJUDICATION:
            left_out["adjudicated: it is in the preferences"] += 1
        elif verdict.status != "skipped":
            yield shown, verdict
        elif (place := _place(shown, verdict)) not in spoke:
            silent[place] = verdict.failure
    if not bench.silent:
        left_out.update(f"comparison by {bench.name}: {why}" for why in silent.values())


def _place(shown: Presentation, verdict: Verdict) -> tuple[Any, ...]:
    return verdict.rater, shown.prompt.id, frozenset((shown.first_by, shown.second_by)), shown.sample


def _verdict(bench: Bench, shown: Presentation, verdict: Verdict) -> Line:
    usable = verdict.status == "ok"
    return {
        "prompt": shown.prompt.id,
        "first": shown.first_by,
        "second": shown.second_by,
        "preferred": verdict.preferred,
        "strength": verdict.strength,
        "probability_second": verdict.probability_second,
        "failure": None if usable else verdict.failure or verdict.status,
        "rater": verdict.rater,
        "kind": verdict.kind,
        "judge": bench.name,
        "sample": shown.sample,
        "repeat": shown.repeat,
        "order": shown.order,
        "status": verdict.status,
        "reason": verdict.reason or None,
        "criteria": dict(verdict.criteria) or None,
        "key": verdict.key or None,
    }


def battle_lines(read: Reading, left_out: Omissions) -> Iterator[Line]:
    """A line for each battle, with its score; one that is void says why."""
    for _, benches in read.by_pair():
        said = [(bench, battle) for bench in benches for battle in (*bench.battles, *bench.adjudicated)]
        for bench, battle in each_once(read, said, left_out):
            if battle.status != "skipped":
                yield _battle(bench, battle)
            elif not bench.silent:
                left_out[f"comparison by {bench.name}: {battle.failure}"] += 1


def each_once(
    read: Reading, said: Iterable[tuple[Bench, Battle]], left_out: Omissions
) -> Iterator[tuple[Bench, Battle]]:
    """The battles of one pair. The ledger holds the people of a file, too: what they said is there once, by the judge
    that is the file."""
    people = {(rater.bench, rater.name) for rater in read.plan.raters if rater.kind == "human"}
    files = {rater.bench for rater in read.plan.raters}
    by_file: dict[tuple[str, str, int], list[Battle]] = {}
    for bench, battle in sorted(said, key=lambda one: one[0].name not in files):  # the people of the ledger come last
        place = (battle.rater, battle.prompt, battle.sample)
        if bench.name not in files and place in by_file and battle.status != "skipped":
            if battle not in by_file[place]:
                left_out[f"comparison by {bench.name}: {OTHERWISE}"] += 1
            continue
        if (bench.name, battle.rater) in people and battle.status != "skipped":
            by_file.setdefault(place, []).append(battle)
        yield bench, battle


def _battle(bench: Bench, battle: Battle) -> Line:
    return {
        "prompt": battle.prompt,
        "model_a": battle.a,
        "model_b": battle.b,
        "winner": None if battle.score is None else winner_of(battle.score),
        "score_a": battle.score,
        "agreed": agreed(list(battle.by_order.values())),
        "score_ab": battle.by_order.get("ab"),
        "score_ba": battle.by_order.get("ba"),
        "preference_b": battle.preference,
        "rater": battle.rater,
        "judge": bench.name,
        "sample": battle.sample,
        "status": battle.status,
        "failure": battle.failure or None,
    }


def winner_of(score_a: float) -> str:
    """Who won, in the words of LMArena's tables."""
    return {1: "model_a", -1: "model_b", 0: "tie"}[int(side_of(score_a))]


def agreed(scores: Sequence[float]) -> bool | None:
    """Whether both orders name the same side; None where only one of them has a usable verdict."""
    return len(set(map(side_of, scores))) == 1 if len(scores) == 2 else None
