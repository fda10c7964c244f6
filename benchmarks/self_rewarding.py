"""What self-rewarding does in the toy world: the marks of the models, and how well each marks (docs/self-rewarding.md).

    python -m sciexam.toy suites/self-rewarding --size marked
    sciexam train m3 --suite self-rewarding-toy
    python benchmarks/self_rewarding.py [--suite self-rewarding-toy] [--results results] [--samples 4]

Prints three tables. The first: the mean mark of each model's answers to the exam by the independent scorer, and what
each gains over the one before. The second: all models mark the same answers, those of the first one to the exam, and
are held against the scorer's order of the answers to each prompt (the five measures of arXiv 2401.10020, section 3.1.2;
`five best` is the share of the answers with the highest mark that are a best one). The third: pairwise comparisons in
both orders, where two orders that name different answers are a tie.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from sciexam import exam, stats
from sciexam.battles import cluster
from sciexam.models.settings import weights_of
from sciexam.suite import Suite, load_suite
from sciexam.train.data.candidates import Asked, answers, marks
from sciexam.train.workshop import Workshop

TRUTH, SELF = "truth", "self"
Marks = list[list[float | None]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="self-rewarding-toy")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--samples", type=int, default=4, help="answers of each model to a prompt")
    given = parser.parse_args()
    suite = load_suite(given.suite, given.results)
    names = [name for name in suite.contestants if weights_of(suite.models[name]) is not None]
    print(table(Workshop(suite, given.results), names, given.samples))


def table(workshop: Workshop, names: Sequence[str], samples: int) -> str:
    """The three tables of the models `names`, each made of the one before."""
    asked = {name: _answers(workshop, name, samples) for name in names}
    true = {name: marks(workshop, asked[name], TRUTH) for name in names}
    judged = names[1:]  # the first is the base, which was never shown how to mark
    lines = [*_marks(asked, true, names), "", *_skill(workshop, asked[judged[0]], true[judged[0]], judged)]
    return "\n".join([*lines, "", *_pairwise(workshop, judged)])


def _answers(workshop: Workshop, name: str, samples: int) -> list[Asked]:
    """The answers of a model to the exam, drawn as the suite says."""
    asked_so = workshop.suite.generation_of(name)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "exam.jsonl"
        path.write_text("".join(_line(prompt) + "\n" for prompt in workshop.suite.prompts), encoding="utf-8")
        return answers(workshop, [name], path, samples, asked_so.temperature or 1.0, asked_so.top_p)


def _line(prompt: object) -> str:
    import json

    said = {"id": prompt.id, "text": prompt.text, "category": prompt.category, "group": prompt.group}  # type: ignore[attr-defined]
    return json.dumps(said)


def _marks(asked: Mapping[str, Sequence[Asked]], true: Mapping[str, Marks], names: Sequence[str]) -> list[str]:
    lines = ["| model | mean mark | gain over the one before |", "|---|---|---|"]
    before: dict[str, float] = {}
    for name in names:
        mean = {one.prompt.id: sum(given) / len(given) for one, given in zip(asked[name], true[name], strict=True)}
        units = {one.prompt.id: cluster(one.prompt) for one in asked[name]}
        both = [prompt for prompt in mean if prompt in before]
        gain = stats.mean([mean[one] - before[one] for one in both], [units[one] for one in both]) if both else ""
        lines.append(f"| {name} | {stats.mean(list(mean.values()), list(units.values()))} | {gain} |")
        before = mean
    return lines


def _skill(workshop: Workshop, asked: Sequence[Asked], true: Marks, names: Sequence[str]) -> list[str]:
    lines = ["| judge | without a mark | pairwise | exact match | five best | Spearman | Kendall |", "|" + "---|" * 7]
    for name in names:
        own = _marked_by(workshop, name, asked)
        scored = [
            (mark, -round(truth, 6), one.prompt.id)
            for one, by, of in zip(asked, own, true, strict=True)
            for mark, truth in zip(by, of, strict=True)
            if mark is not None
        ]
        scores, ranks, prompts = zip(*scored, strict=True)
        found = [
            measure(scores, ranks, prompts)
            for measure in (stats.pairwise_accuracy, stats.exact_match, _five_best, stats.mean_spearman)
        ]
        found.append(stats.mean_kendall(scores, ranks, prompts))
        without = sum(mark is None for by in own for mark in by)
        lines.append(f"| {name} | {without} of {sum(map(len, own))} | {' | '.join(map(str, found))} |")
    return lines


def _five_best(scores: Sequence[float], ranks: Sequence[float], prompts: Sequence[str]) -> object:
    return stats.five_best(scores, ranks, prompts, perfect=1.0)


def _marked_by(workshop: Workshop, name: str, asked: Sequence[Asked]) -> Marks:
    """The marks that a model gives, three times each and averaged."""
    weights = weights_of(workshop.suite.models[name])
    assert weights is not None
    own = workshop.suite.judges[SELF].model_copy(update={"weights": weights.weights, "samples": 3})
    suite: Suite = workshop.suite.model_copy(update={"judges": {**workshop.suite.judges, SELF: own}})
    return marks(replace(workshop, suite=suite), asked, SELF)


def _pairwise(workshop: Workshop, names: Sequence[str]) -> list[str]:
    report = exam.compare(
        workshop.suite, *names, judges=[TRUTH], orders="both", policy="conservative", results=workshop.results
    )
    lines = ["| pair | win rate of the second |", "|---|---|"]
    return [*lines, *(f"| {pair.a}, {pair.b} | {pair.win_rate} |" for pair in report.pairs)]


if __name__ == "__main__":
    main()
