"""AlpacaEval's own files become a suite whose verdicts give the published rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sciexam as sx
from conftest import Cli
from exchange.alpacaeval_layout import RATER, REFERENCE, rebuild
from sciexam.errors import DocumentError
from sciexam.exchange import read
from sciexam.exchange.landed import land
from sciexam.judges.recorded import VerdictLine, read_verdicts
from sciexam.models.recorded import read_responses

LONGER_BY_TWO = ("phi-2", "alpaca-7b_verbose")  # published over 805 answers, of which 803 and 802 have a verdict


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_real_verdicts_in_alpacaevals_layout_give_the_published_rows_to_six_decimals(
    version: str, tmp_path: Path, shared_data: Path, sciexam: Cli
) -> None:
    published = rebuild(shared_data, tmp_path / "results", version)
    done = sciexam("import", "alpacaeval", "results", "--out", "landed", "--json")
    assert done.returncode == 0, done.stderr
    landed = json.loads(done.stdout)
    assert (landed["prompts"], landed["answers_missing"], landed["left_out"]) == (805, 0, [])
    assert landed["baseline"] == REFERENCE[version]
    assert sum(file["rows"] for file in landed["files"].values()) == 805 + 2 * sum(landed["verdicts"].values())
    (judge,) = read_verdicts(tmp_path / "landed" / "verdicts" / f"{RATER[version]}.jsonl")
    lines: dict[str, list[VerdictLine]] = {}
    for line in judge._lines.values():
        lines.setdefault(line.second, []).append(line)
    assert set(lines) == set(published)
    for model, row in published.items():
        found = row_of(lines[model])
        answers = read_responses(tmp_path / "landed" / "responses" / f"{model}.jsonl").values()
        found["avg_length"] = int(np.mean([len(answer.text) for answer in answers]))
        for key, value in found.items():
            if key == "avg_length" and version == "v2" and model in LONGER_BY_TWO:
                continue
            assert value == pytest.approx(row[key], abs=1e-6), (model, key)


def row_of(lines: list[VerdictLine]) -> dict[str, float]:
    """AlpacaEval's rules on what landed: a side is 0 or 1, a draw one half, a failure is left out."""
    sides = {"first": 0.0, "second": 1.0, "tie": 0.5}
    said = [line for line in lines if not line.failure]
    scores = np.array(
        [sides[line.preferred] if line.preferred else line.probability_second for line in said], dtype=np.float64
    )
    return {
        "win_rate": 100 * scores.mean(),
        "standard_error": 100 * scores.std(ddof=1) / np.sqrt(len(scores)),
        "n_wins": int((scores > 0.5).sum()),
        "n_wins_base": int((scores < 0.5).sum()),
        "n_draws": int((scores == 0.5).sum()),
        "n_total": len(scores),
        "discrete_win_rate": 100 * float(((np.sign(scores - 0.5) + 1) / 2).mean()),
    }


def test_each_preference_lands_as_what_it_means_and_as_it_was_written(tmp_path: Path) -> None:
    preferences: list[Any] = [1, 2, 1.5, 0, None]
    write(tmp_path / "annotations.json", [annotation(f"q{i}", value) for i, value in enumerate(preferences)])
    lines = landed_lines(tmp_path, "a")
    assert [line.get("preferred") or line["failure"] for line in lines] == [
        "first",
        "second",
        "tie",
        "tie",
        "no preference",
    ]
    assert [line["preference"] for line in lines] == preferences


def test_a_file_with_weighted_preferences_is_of_probabilities_throughout(tmp_path: Path) -> None:
    preferences = [1, 2, 1.25, 0, None]
    write(tmp_path / "annotations.json", [annotation(f"q{i}", value) for i, value in enumerate(preferences)])
    lines = landed_lines(tmp_path, "a")
    assert [line.get("probability_second") for line in lines] == [0, 1, 0.25, 0.5, None]


def test_an_instruction_that_stands_twice_is_matched_by_position(tmp_path: Path) -> None:
    write(tmp_path / "m" / "model_outputs.json", [output("same", "m", "one"), output("same", "m", "two")])
    write(tmp_path / "m" / "j" / "annotations.json", [annotation("same", 1, "one"), annotation("same", 2, "two")])
    lines = landed_lines(tmp_path, "a")
    assert [(line["prompt"], line["preferred"]) for line in lines] == [("0", "first"), ("1", "second")]
    suite = sx.load_suite(str(tmp_path / "out" / "suite.yaml"))
    assert [prompt.text for prompt in suite.prompts] == ["same", "same"]


def test_an_instruction_that_stands_twice_in_one_file_and_once_in_another_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "m" / "model_outputs.json", [output("same", "m", "one"), output("same", "m", "two")])
    write(tmp_path / "m" / "j" / "annotations.json", [annotation("same", 1, "one")])
    assert refused(tmp_path) == (
        f"{tmp_path}/m/j/annotations.json:2: instruction: 'same' stands 1 times in this file and 2 times in another; "
        "which of them is meant cannot be told"
    )


def test_the_same_instruction_in_two_data_sets_is_two_prompts(tmp_path: Path) -> None:
    rows = [output("same", "m", text) | {"dataset": text} for text in ("vicuna", "koala")]
    write(tmp_path / "m" / "model_outputs.json", rows)
    write(tmp_path / "m" / "j" / "annotations.json", [annotation("same", 1, "koala") | {"dataset": "koala"}])
    (line,) = landed_lines(tmp_path, "a")
    assert line["prompt"] == "1"


def test_the_same_text_is_one_answer_whatever_columns_the_files_have_besides(tmp_path: Path) -> None:
    more = {"datasplit": "eval", "finish_reason": "stop", "model": "m-2024", "seconds": 1}
    write(tmp_path / "reference_outputs.json", [output("q", "base", "ours") | {"time": 3}])
    write(tmp_path / "m" / "model_outputs.json", [output("q", "m", "theirs") | more])
    write(tmp_path / "n" / "model_outputs.json", [output("q", "n", "theirs")])
    write(tmp_path / "m" / "j" / "annotations.json", [annotation("q", 1) | {"seconds": 2}])
    (verdict,) = landed_lines(tmp_path, "a")
    assert (verdict["preferred"], verdict["seconds"]) == ("first", 2)
    (answer,) = answers_of(tmp_path, "m")
    assert answer == {
        **{"prompt": "0", "text": "theirs", "datasplit": "eval", "source_finish_reason": "stop"},
        **{"model": "m-2024", "seconds": 1},
    }
    assert [line["time"] for line in answers_of(tmp_path, "base")] == [3]


def test_a_text_that_the_annotator_saw_and_the_model_did_not_give_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "m" / "model_outputs.json", [output("q", "m", "the answer")])
    write(tmp_path / "m" / "j" / "annotations.json", [annotation("q", 1, "another answer")])
    assert "'m' answers '0' (sample 0) otherwise in " in refused(tmp_path)


def test_faults_of_all_files_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    write(tmp_path / "m" / "model_outputs.json", [output("q", "m", "x"), {"output": "y"}])
    rows = [annotation("q", 3), annotation("r", "2"), {"instruction": ""} | annotation("", 1)]
    write(tmp_path / "m" / "j" / "annotations.json", rows)
    said = refused(tmp_path).splitlines()
    assert said[0] == f"{tmp_path}/m/model_outputs.json:3: instruction: this key is missing"
    assert said[1:] == [
        f"{tmp_path}/m/j/annotations.json:{line}: {what}"
        for line, what in (
            (2, "preference: 3 is none of 1 .. 2, 0 for a draw, or null where the annotator failed"),
            (3, "preference: '2' is none of 1 .. 2, 0 for a draw, or null where the annotator failed"),
            (4, "instruction: a text that is not empty, this is ''"),
        )
    ]
    assert not (tmp_path / "out").exists()


def output(instruction: str, generator: str, text: str) -> dict[str, Any]:
    return {"dataset": "d", "instruction": instruction, "output": text, "generator": generator}


def annotation(instruction: str, preference: Any, text: str = "theirs") -> dict[str, Any]:
    return {
        **{"dataset": "d", "instruction": instruction, "annotator": "a", "preference": preference},
        **{"output_1": "ours", "generator_1": "base", "output_2": text, "generator_2": "m"},
    }


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """A list with an item a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]", encoding="utf-8")


def answers_of(folder: Path, model: str) -> list[dict[str, Any]]:
    text = (folder / "out" / "responses" / f"{model}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def landed_lines(folder: Path, judge: str) -> list[dict[str, Any]]:
    land(read("alpacaeval", [folder]), folder / "out")
    text = (folder / "out" / "verdicts" / f"{judge}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def refused(folder: Path) -> str:
    with pytest.raises(DocumentError) as told:
        land(read("alpacaeval", [folder]), folder / "out")
    return str(told.value)


def test_a_second_reference_is_told(tmp_path: Path) -> None:
    rows = [annotation("Why?", 2), annotation("How?", 1) | {"generator_1": "another"}]
    write(tmp_path / "annotations.json", rows)
    landed = land(read("alpacaeval", [tmp_path / "annotations.json"]), tmp_path / "out")
    assert f"References differ: the suite's baseline is {landed.baseline}, and another is another." in landed.notes


def test_an_order_that_is_not_written_down_gives_no_figure_of_position(tmp_path: Path) -> None:
    write(tmp_path / "annotations.json", [annotation(f"q{i}", 1 + i % 2) for i in range(12)])
    land(read("alpacaeval", [tmp_path / "annotations.json"]), tmp_path / "out")
    report = sx.compare(sx.load_suite(str(tmp_path / "out" / "suite.yaml")), "base", "m", results=tmp_path / "results")
    (pair,) = report.pairs
    unknown = sx.Undefined("the order was not recorded")
    assert (pair.position_bias, pair.order_consistency, pair.shown) == (unknown, unknown, None)
    files = tmp_path / "results" / report.suite / report.run
    texts = {name: (files / name).read_text() for name in ("report.md", "report.json", "report.html")}
    assert all("the order was not recorded" in text for text in texts.values())
    assert not any("in the same order" in text for text in texts.values())
    assert "position-bias" not in texts["report.html"]
