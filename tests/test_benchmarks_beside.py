"""What contestants did on benchmarks stands beside their comparison: from the ledger, and the same when replayed."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

import sciexam as sx
from conftest import answers, write_suite
from sciexam.exam.benchmark_facts import Outcome, Setting, task_grade, task_key
from sciexam.exam.reporting import report
from sciexam.report.benchmarks import Told, pairs_of
from sciexam.report.console import print_report
from sciexam.report.markdown import to_markdown
from sciexam.report.record import Report
from sciexam.store import Store

NAMES = ("base", "sft", "rlhf")
A, B = [1.0] * 30 + [0.0] * 70, [1.0] * 60 + [0.0] * 40


def suite(folder: Path, says: str) -> str:
    models = {name: {"responses": answers(folder, name, [f"{says} {name} {i}." for i in range(6)])} for name in NAMES}
    return str(write_suite(folder, 6, models))


def compared(folder: Path, *names: str, says: str = "It is") -> Report:
    return sx.compare(suite(folder, says), *names, judges=["measures"], results=folder / "results")


def ledger(folder: Path) -> Store:
    return Store(folder / "results" / "ledger.sqlite")


def manifest_of(folder: Path, run: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results" / "exam" / run / "run.json").read_text())
    return found


def did(store: Store, model: str, task: str, values: Sequence[float | None], **more: Any) -> None:
    """Write down what the model of this identity did, as `sciexam bench` does."""
    setting = Setting(f"digest of {task}", more.pop("shots", 0), False, len(values))
    told: dict[str, Any] = {"metric": "acc", "higher_is_better": True, "groups": None, "reported": {}, "cut": 0} | more
    outcome = Outcome(
        model="then", task=task, setting=setting, values=tuple(values), key=task_key(model, setting), **told
    )
    store.append([task_grade(outcome, model, None)])


def command(store: Store, run: str, margin: float | None, *tasks: str, under: dict[str, str] | None = None) -> None:
    """Write down the manifest of a `sciexam bench`."""
    asked = {task: [f"digest of {task}", 0, 100] for task in tasks}
    plan = {"purpose": "bench", "margin": margin, "tasks": asked, "under": under or {}}
    store.add_run(run, json.dumps({"run": run, "plan": plan}))


def printed(found: Report, width: int = 80) -> str:
    out = io.StringIO()
    print_report(found, Console(file=out, width=width, legacy_windows=False), None)
    return out.getvalue()


def test_a_comparison_shows_what_the_ledger_has_of_benchmarks_and_nothing_before(tmp_path: Path) -> None:
    first = compared(tmp_path, "base", "sft")
    folder = tmp_path / "results" / "exam" / first.run
    assert first.benchmarks is None
    assert "benchmarks" not in first.to_json()
    for text in (printed(first), to_markdown(first), (folder / "report.html").read_text()):
        assert "Benchmarks" not in text
    known = manifest_of(tmp_path, first.run)["benchmarked"]
    with ledger(tmp_path) as store:
        did(store, known["base"], "mc", A)
        did(store, known["sft"], "mc", B)
        command(store, "b" * 16, 0.5, "mc")
    found = compared(tmp_path, "base", "sft")
    assert found.benchmarks is not None
    told = [Told(name, "mc", "acc", True, 0, False, values, None, {}) for name, values in (("base", A), ("sft", B))]
    assert found.benchmarks.pairs == pairs_of(told, 0.5), "as `sciexam bench` has it"
    (pair,) = found.to_json()["benchmarks"]["pairs"]
    assert (pair["only_a"], pair["only_b"], pair["finding"], pair["margin"]) == (0, 30, "equivalent", 0.5)
    again = report(first.run, results=tmp_path / "results")
    assert again.calls.recounted
    assert replace(again, calls=found.calls) == found
    row = (
        "| mc acc | 0.30 [0.22, 0.40] | 0.60 [0.50, 0.69] | 0.30 [0.20, 0.39] | equivalent | 0/30 of 100 | &lt;0.001 |"
    )
    assert row in to_markdown(found).splitlines()
    console = " ".join(printed(found).split())  # without its line breaks
    for word in ("[.50, .69]", "McNemar's exact test", "lies within", "0/30", "No judge has a say in it"):
        assert word in console
    page = (folder / "report.html").read_text()
    assert '<h2 id="benchmarks">Benchmarks</h2>' in page
    assert "<bdi>0.60 [0.50, 0.69]</bdi>" in page


def test_what_a_comparison_shows_is_of_the_weights_that_were_compared(tmp_path: Path) -> None:
    first = compared(tmp_path, "base", "sft")
    known = manifest_of(tmp_path, first.run)["benchmarked"]
    with ledger(tmp_path) as store:
        did(store, known["base"], "mc", A)
    other = compared(tmp_path, "base", "sft", says="They are")  # other contents under the same names
    assert other.benchmarks is None
    found = report(first.run, results=tmp_path / "results")
    assert found.benchmarks is not None
    assert [one.model for one in found.benchmarks.results] == ["base"]


def test_more_than_two_contestants_have_a_table_of_results_and_one_of_each_two(tmp_path: Path) -> None:
    first = compared(tmp_path, *NAMES)
    known = manifest_of(tmp_path, first.run)["benchmarked"]
    with ledger(tmp_path) as store:
        for name, values in zip(NAMES, (A, B, B), strict=True):
            did(store, known[name], "mc", values, cut=1 if name == "sft" else 0)
    found = report(first.run, results=tmp_path / "results")
    assert found.benchmarks is not None
    assert [(pair.a, pair.b) for pair in found.benchmarks.pairs] == [("base", "sft"), ("base", "rlhf"), ("sft", "rlhf")]
    assert {pair.margin for pair in found.benchmarks.pairs} == {None}
    text = to_markdown(found)
    assert "## Benchmarks, each two" in text
    assert "sft on mc: 1 text had no room, and was cut at its beginning." in text
    assert "Not told apart is not the same" in text


def test_a_difference_is_of_the_second_whoever_did_the_first_task(tmp_path: Path) -> None:
    first = compared(tmp_path, "base", "sft")
    known = manifest_of(tmp_path, first.run)["benchmarked"]
    with ledger(tmp_path) as store:
        did(store, known["sft"], "alone", B)
        did(store, known["sft"], "mc", B)
        did(store, known["base"], "mc", A)
        command(store, "a" * 16, None, "alone")
    text = to_markdown(report(first.run, results=tmp_path / "results"))
    assert "| task | base | sft | difference |" in text
    assert "| mc acc | 0.30 [0.22, 0.40] | 0.60 [0.50, 0.69] | 0.30 [0.20, 0.39] | higher |" in text
    assert "| alone acc | n/a | 0.60 [0.50, 0.69] | n/a | n/a |" in text


def test_a_group_of_tasks_stands_as_the_last_command_on_it_had_it(tmp_path: Path) -> None:
    first = compared(tmp_path, "base", "sft")
    known = manifest_of(tmp_path, first.run)["benchmarked"]
    with ledger(tmp_path) as store:
        for name, values in (("base", A), ("sft", B)):
            for task in ("x", "y", "z"):
                did(store, known[name], task, values)
        command(store, "a" * 16, 0.2, "x", "y", "z")
        command(store, "b" * 16, 0.5, "x", "y", under={"x": "both", "y": "both"})
    found = report(first.run, results=tmp_path / "results").benchmarks
    assert found is not None
    assert [(pair.task, pair.margin) for pair in found.pairs] == [("x", 0.5), ("y", 0.5), ("both", 0.5), ("z", 0.2)]
    assert [one.items for one in found.results if one.task == "both"] == [200, 200]


def test_only_those_who_were_asked_alike_are_set_side_by_side(tmp_path: Path) -> None:
    first = compared(tmp_path, *NAMES)
    known = manifest_of(tmp_path, first.run)["benchmarked"]
    with ledger(tmp_path) as store:
        did(store, known["base"], "mc", A)
        did(store, known["sft"], "mc", B)
        did(store, known["rlhf"], "mc", B, shots=5)
    found = report(first.run, results=tmp_path / "results").benchmarks
    assert found is not None
    assert [one.model for one in found.results] == ["base", "sft"]


def test_a_name_in_the_ledger_never_becomes_markup(tmp_path: Path) -> None:
    first = compared(tmp_path, "base", "sft")
    known = manifest_of(tmp_path, first.run)["benchmarked"]
    with ledger(tmp_path) as store:
        did(store, known["base"], "<img src=x>|[a](b)", A)
    found = report(first.run, results=tmp_path / "results")
    page = (tmp_path / "results" / "exam" / first.run / "report.html").read_text()
    assert "<img" not in page
    assert "&lt;img src=x&gt;&#124;" in to_markdown(found)
