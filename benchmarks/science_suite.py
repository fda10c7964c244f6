"""Remake what the default suite records: the answers of its lineage, and the verdicts of its tiny judge.

    OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 python benchmarks/science_suite.py FOLDER [--seed N] [--write]

Trains the lineages of `science` and of `science-judge` in FOLDER from data of the toy world, lets the contestants
answer the exam and the judge compare them in both orders, and prints the tables of docs/toy.md: what the answers are
worth to the truth, whether each stage is better than the one before by the truth and by four annotators, and how good
the judge is. The annotators follow the rule of the one that taught the reward model, each with a noise of its own.
What is in FOLDER already is not done again. With `--write`, and the seed of the suite, the answers, verdicts and data
beside `suites/science.yaml` are replaced.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sciexam import exam
from sciexam.documents import read_jsonl, shipped
from sciexam.exam import marking
from sciexam.exchange.export import export
from sciexam.files import write_atomically
from sciexam.judges.settings import CustomJudge, PanelJudge, WeightsJudge
from sciexam.models.settings import weights_of
from sciexam.report.record import Figure, Report
from sciexam.suite import Suite, load_suite
from sciexam.toy.data import FULL, Size, write
from sciexam.toy.lineages import science_judge
from sciexam.train.walk import train

OWN_SEED = 1
TRAINING = ("documents.jsonl", "demonstrations.jsonl", "train_prompts.jsonl", "dev_prompts.jsonl")
LINEAGE = ("base", "sft", "rs", "rlhf", "ppo")
STEPS = (("base", "sft"), ("sft", "rlhf"), ("sft", "rs"), ("rs", "rlhf"), ("sft", "ppo"))
PEOPLE = tuple(f"annotator {seed}" for seed in (2, 3, 4, 5))  # the reward model has learnt from the first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=OWN_SEED)
    parser.add_argument("--write", action="store_true", help="replace what lies beside suites/science.yaml")
    given = parser.parse_args()
    if given.write and given.seed != OWN_SEED:
        parser.error(f"--write: the suite records the lineage of seed {OWN_SEED}")
    made = Made(given.folder.absolute(), given.seed)
    names = [name for name in LINEAGE if made.trained(name)]
    print("\n".join([*made.marks(names), "", *made.steps(names), "", *made.judge()]))
    if given.write:
        made.record(shipped() / "suites" / "science")


@dataclass
class Made:
    """A copy of the two suites in `folder`, with the data of a seed, and what is trained there."""

    folder: Path
    seed: int
    size: Size = FULL
    exam: Path = Path("science") / "prompts.jsonl"  # among the shipped suites
    margin: float = 0.05  # of the gates

    def __post_init__(self) -> None:
        for name in ("science", "science-judge"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            text = (shipped() / "suites" / f"{name}.yaml").read_text(encoding="utf-8")
            text = text.replace(f"\nseed: {OWN_SEED}\n", f"\nseed: {self.seed}\n")
            text = text.replace("gate: {judge: truth}", f"gate: {{judge: truth, margin: {self.margin}}}")
            (self.folder / f"{name}.yaml").write_text(_unrecorded(text), encoding="utf-8")
        shutil.copy(shipped() / "suites" / self.exam, self.folder / "science" / "prompts.jsonl")
        write(self.folder / "science" / "training", self.size, self.seed)

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def suite(self, name: str = "science") -> Suite:
        return load_suite(str(self.folder / f"{name}.yaml"), self.results)

    def trained(self, name: str, suite: str = "science") -> bool:
        """Train a model, and say whether the gate lets it be a contestant."""
        return train(self.suite(suite), name, results=self.results, tell=print)[-1].outcome != "rejected"

    # ------------------------------------------------------------ the tables

    def marks(self, names: Sequence[str]) -> Iterator[str]:
        found = marking.grade(self.suite(), *names, judges=["truth", "annotator"], results=self.results)
        marks = {(row.contestant, row.judge): row.total for row in found.rows}
        yield from ("| model | truth | annotator |", "|---|---|---|")
        yield from (f"| {name} | {marks[name, 'truth']} | {marks[name, 'annotator']} |" for name in names)

    def steps(self, names: Sequence[str]) -> Iterator[str]:
        yield from ("| the second against the first | by | win rate | p |", "|---|---|---|---|")
        for one in self.compared(names):
            yield f"| {one.a}, {one.b} | {one.by} | {one.win_rate} | {one.p_value:.4f} |"

    def compared(self, names: Sequence[str]) -> list[Step]:
        """Each stage against the one before, by the truth and by annotators who have taught nobody.

        They share the rule of the one who has, so they are not independent of it; the p-values are uncorrected.
        """
        suite = _with_people(self.suite())
        found = []
        for a, b in STEPS:
            if a in names and b in names:
                for by in ("truth", "people"):
                    report = exam.compare(suite, a, b, judges=[by], results=self.results)
                    pair = report.pairs[0]
                    found.append(Step(a, b, by, pair.win_rate, pair.p_value))
        return found

    def judge(self) -> Iterator[str]:
        """How often the judge names the right letter in its exam, and how it does on the answers of the lineage."""
        science_judge(self.folder / "science-judge", FULL, self.seed)
        self.trained("tiny", "science-judge")
        grades = marking.grade(self.suite("science-judge"), "tiny", judges=["letter"], results=self.results)
        yield f"The judge names the right letter in its exam: {grades.rows[0].total}"
        yield from (
            "",
            "| pair | by the judge | by the truth | order consistency | position bias |",
            "|---|---|---|---|---|",
        )
        judged, true = self.verdicts(), {pair[:2]: pair[2] for pair in self._true()}
        for pair in judged.pairs:
            shown = (pair.win_rate, true[pair.a, pair.b], pair.order_consistency, pair.position_bias)
            yield f"| {pair.a}, {pair.b} | {' | '.join(map(str, shown))} |"

    def _true(self) -> Iterator[tuple[str, str, Figure]]:
        suite = self.suite()
        for pair in exam.compare(suite, *suite.contestants, judges=["truth"], results=self.results).pairs:
            yield pair.a, pair.b, pair.win_rate

    # ------------------------------------------------------------ what is recorded

    def verdicts(self) -> Report:
        suite = self._with_judge()
        return exam.compare(suite, *suite.contestants, judges=["tiny"], results=self.results)

    def _with_judge(self) -> Suite:
        suite, judged = self.suite(), weights_of(self.suite("science-judge").models["tiny"])
        assert judged is not None
        template = str(shipped() / "suites" / "science" / "judge.j2")
        tiny = WeightsJudge(
            backend="huggingface", weights=judged.weights, template=template, verdict="letter", probabilities=True
        )
        return suite.model_copy(update={"judges": {**suite.judges, "tiny": tiny}})

    def record(self, into: Path) -> None:
        """Write the answers of the contestants, the verdicts of the judge, and what was learnt from."""
        suite = self._with_judge()
        for name in suite.contestants:
            answers = self._exported(suite, name, what="responses")
            _write(
                into / f"{name}.jsonl", ({key: line[key] for key in ("prompt", "sample", "text")} for line in answers)
            )
        said = self._exported(suite, *suite.contestants, what="verdicts", judges=["tiny"])
        _write(into / "tiny.jsonl", map(_verdict, said))
        for name in TRAINING:
            shutil.copy(self.folder / "science" / "training" / name, into / "training")

    def _exported(self, suite: Suite, *names: str, **what: Any) -> list[Mapping[str, Any]]:
        out = self.folder / "exported.jsonl"
        export(suite, *names, out=out, results=self.results, **what)
        return [line for _, line in read_jsonl(out)]


@dataclass(frozen=True)
class Step:
    """One stage against the one before, `by` the truth or by people."""

    a: str
    b: str
    by: str
    win_rate: Figure
    p_value: float | None


def _unrecorded(text: str) -> str:
    """The suite without the answers and verdicts that it records: its models are asked themselves."""
    lines = (
        line for line in text.splitlines(keepends=True) if not line.startswith(("    responses: ", "  tiny: {backend"))
    )
    return "".join(lines).replace("\njudge: tiny\n", "\njudge: truth\n")


def _with_people(suite: Suite) -> Suite:
    """The suite with a panel of annotators."""
    who = "sciexam.toy.annotator:Annotator"
    judges = {name: CustomJudge(backend=who, settings={"seed": int(name.split()[1]), "noise": 0.05}) for name in PEOPLE}
    return suite.model_copy(
        update={"judges": {**suite.judges, **judges, "people": PanelJudge(backend="panel", judges=PEOPLE)}}
    )


def _verdict(line: Mapping[str, Any]) -> Mapping[str, Any]:
    said = {key: line[key] for key in ("prompt", "first", "second", "sample")} | {"rater": "tiny"}
    if "failure" in line:
        return said | {"failure": line["failure"]}
    return said | {"probability_second": round(line["probability_second"], 4)}


def _write(path: Path, lines: Any) -> None:
    write_atomically(path, (json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


if __name__ == "__main__":
    main()
