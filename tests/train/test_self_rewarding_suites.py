"""The two suites of self-rewarding: the published one says what it lacks, and the toy one runs to its tables."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sciexam import lineage
from sciexam.check import check
from sciexam.contamination import Exam
from sciexam.documents import shipped
from sciexam.judges.grading import GradingTemplate
from sciexam.prompts import read_prompts
from sciexam.rubric import load_rubric
from sciexam.suite import load_suite
from sciexam.toy import data
from sciexam.toy.asker import Asker
from sciexam.toy.marking import marked
from sciexam.toy.questions import questions
from sciexam.toy.world import phenomenon_of, world
from sciexam.types import Conversation, Message, Prompt, Submission

SUITES = shipped() / "suites"
ONE = world()["p007"]


def test_the_published_suite_loads_and_says_what_it_lacks(tmp_path: Path) -> None:
    suite = load_suite(str(SUITES / "self-rewarding.yaml"), tmp_path)
    assert lineage.chain(suite.models, "m3") == ["m0", "m1", "m2", "m3"]
    told = "\n".join(finding.text for finding in check(suite))
    for lacking in ("ift.jsonl: no such file", "eft.jsonl: no such file", "ift_prompts.jsonl: no such file"):
        assert lacking in told


def test_a_mark_says_of_each_statement_whether_it_holds() -> None:
    definition, mechanism, example, conclusion = ONE.truths.values()
    assert marked(ONE, " ".join(ONE.truths.values())) == ("1 right 2 right 3 right 4 right 5 right", 5)
    assert marked(ONE, f"{definition} {example} {mechanism}") == ("1 right 2 right 3 right 4 wrong 5 wrong", 3)
    assert marked(ONE, conclusion.rstrip(".") + " and") == ("1 wrong 2 wrong 3 wrong 4 wrong 5 wrong", 0)


def test_examples_of_marking_are_read_as_the_judge_of_the_suite_reads() -> None:
    rubric = load_rubric(str(SUITES / "self-rewarding" / "points.yaml"))
    template = GradingTemplate(str(SUITES / "self-rewarding" / "mark.j2"), rubric, "score")
    one = Submission(Prompt(id="p", messages=(Message(role="user", content="Why?"),)), "So.", seal="0" * 32)
    for line in data.files(data.SMALL)["evaluations.jsonl"][:20]:
        said = "\n".join([line["justification"], *template.lines({"points": str(line["score"])}, one)])
        assert template.read(said, one).criteria == {"points": float(line["score"])}


def test_the_exam_asks_for_what_is_known_and_is_in_no_file_that_trains() -> None:
    exam = read_prompts(SUITES / "self-rewarding" / "prompts.jsonl")
    assert len(exam) == 100
    assert all(phenomenon_of(prompt) is not None for prompt in exam)
    asked = Exam(exam)
    lines = [line for found in data.files(data.MARKED).values() for line in found]
    assert not [line for line in lines if asked.asked_in(line.get("prompt") or line["text"]) is not None]


def test_the_asker_asks_one_more_question_for_a_phenomenon_that_it_was_shown() -> None:
    from random import Random

    asked = questions(ONE, Random(1))
    shown = "\n\n".join(f"<<<PROMPT {n} ab12\n{next(asked)}\nPROMPT {n} ab12>>>" for n in range(1, 9))
    request = f"Here are 8 prompts.\n\n{shown}\n\nPROMPT 0123456789ab\n\nBelow that line write the one prompt."
    (reply,) = Asker().generate([Conversation("key", (Message(role="user", content=request),))])
    line, question = reply.text.split("\n", 1)
    assert line == "PROMPT 0123456789ab"
    assert question not in shown
    (refused,) = Asker().generate([Conversation("key", (Message(role="user", content="Why is the sky blue?"),))])
    assert (refused.status, refused.failure) == ("failed", "it only writes prompts")


@pytest.mark.soak
def test_the_toy_chain_runs_to_its_tables(tmp_path: Path) -> None:
    assert run_chain(tmp_path, {}).count("| m3 |") == 2


@pytest.mark.slow
def test_a_shortened_toy_chain_runs_to_its_tables(tmp_path: Path) -> None:
    shorter = {
        "epochs: 4": "epochs: 2",
        "per_iteration: 150": "per_iteration: 32",
        "margin: 0.15": "margin: 0.49, length: 100, unfinished: 1, repetitive: 1, gibberish: 1, baseline: false",
        "    learning_rate: 0.002\n": "    learning_rate: 0.002\n    gate: {margin: 0.49}\n",
    }
    told = run_chain(tmp_path, shorter, "--samples", "1")
    assert "| model | mean mark | gain over the one before |" in told
    assert told.count("| m3 |") == 2
    assert "| m2, m3 |" in told


def run_chain(folder: Path, changed: dict[str, str], *options: str) -> str:
    """Make the data, train the toy suite with these changes, and print its tables."""
    pytest.importorskip("trl")
    pytest.importorskip("datasketch")
    suites = folder / "suites"
    (suites / "self-rewarding").mkdir(parents=True)
    for name in ("prompts.jsonl", "mark.j2", "points.yaml"):
        (suites / "self-rewarding" / name).write_bytes((SUITES / "self-rewarding" / name).read_bytes())
    text = (SUITES / "self-rewarding-toy.yaml").read_text(encoding="utf-8")
    for old, new in changed.items():
        assert old in text
        text = text.replace(old, new)
    (suites / "self-rewarding-toy.yaml").write_text(text, encoding="utf-8")
    command(folder, "-m", "sciexam.toy", "suites/self-rewarding", "--size", "marked")
    command(folder, "-m", "sciexam", "train", "m3", "--suite", "self-rewarding-toy")
    table = Path(__file__).parents[2] / "benchmarks" / "self_rewarding.py"
    return command(folder, str(table), *options)


def command(folder: Path, *words: str) -> str:
    done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
