"""Real answers and GPT-4's recorded verdicts (AlpacaEval): the win rates of the file, and the published ones.

The published figures are leaderboard rows of tatsu-lab/alpaca_eval at cd543a1; win_rate = 100 * mean(preference - 1).
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import Cli, write_jsonl

REFERENCE = {"v1": "text_davinci_003", "v2": "gpt4_1106_preview"}
RATER = {"v1": "alpaca_eval_gpt4", "v2": "weighted_alpaca_eval_gpt4_turbo"}
ANSWERED = {
    "v1": (
        "phi-2",
        "phi-2-sft",
        "phi-2-dpo",
        "alpaca-7b",
        "alpaca-farm-ppo-human",
        "llama-2-7b-chat-hf",
        "gpt-3.5-turbo-1106",
        "gpt4",
    ),
    "v2": ("phi-2", "phi-2-sft", "alpaca-7b", "alpaca-farm-ppo-human", "gpt-3.5-turbo-1106"),
}


def rows(data: Path, version: str) -> Iterator[dict[str, str]]:
    with gzip.open(data / "alpacaeval" / f"verdicts_{version}.csv.gz", "rt", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def objects(data: Path, name: str) -> list[dict[str, Any]]:
    with gzip.open(data / "alpacaeval" / name, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def probability(cell: str) -> float | None:
    """P(model wins) of one preference cell: 1 reference, 2 model, 0 or 1.5 draw, empty failed."""
    if not cell:
        return None
    return 0.5 if float(cell) == 0 else float(cell) - 1


def verdict_lines(data: Path, version: str, prompts: set[str]) -> Iterator[dict[str, Any]]:
    for row in rows(data, version):
        if row["index"] in prompts:
            p = probability(row["preference"])
            said = {"failure": "no verdict recorded"} if p is None else {"probability_second": p}
            ends = {"first": REFERENCE[version], "second": row["model"]}
            yield {"prompt": row["index"], **ends, "rater": RATER[version], **said}


def file_rate(data: Path, version: str, model: str, prompts: set[str]) -> tuple[float, int]:
    found = [probability(r["preference"]) for r in rows(data, version) if r["model"] == model and r["index"] in prompts]
    kept = [p for p in found if p is not None]
    return sum(kept) / len(kept), len(kept)


def suite_file(folder: Path, prompts: list[dict[str, Any]], verdicts: list[dict[str, Any]], names: list[str]) -> Path:
    write_jsonl(folder / "prompts.jsonl", prompts)
    write_jsonl(folder / "verdicts.jsonl", verdicts)
    suite = {
        "suite": "alpaca",
        "prompts": "prompts.jsonl",
        "models": {name: {"responses": f"{name}.jsonl"} for name in names},
        "contestants": names,
        "judges": {"gpt-4": {"backend": "recorded", "verdicts": "verdicts.jsonl"}, "measures": {"backend": "measures"}},
    }
    (folder / "alpaca.yaml").write_text(json.dumps(suite), encoding="utf-8")
    return folder / "alpaca.yaml"


def science(data: Path, folder: Path, version: str) -> Path:
    """The 58 science prompts with the real answers."""
    asked = [p for p in objects(data, "prompts.jsonl.gz") if p["science"]]
    ids = {str(p["index"]) for p in asked}
    names = [REFERENCE[version], *ANSWERED[version]]
    for name in names:
        lines = [a for a in objects(data, "answers_science.jsonl.gz") if a["model"] == name]
        write_jsonl(folder / f"{name}.jsonl", [{"prompt": a["index"], "text": a["output"]} for a in lines])
    prompts = [{"id": p["index"], "text": p["instruction"], "category": p["dataset"]} for p in asked]
    return suite_file(folder, prompts, list(verdict_lines(data, version, ids)), names)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_recorded_verdicts_on_the_science_prompts_give_the_win_rates_of_the_file(
    version: str, tmp_path: Path, shared_data: Path
) -> None:
    suite = sx.load_suite(str(science(shared_data, tmp_path, version)))
    ids = {prompt.id for prompt in suite.prompts}
    assert len(ids) == 58
    for model in ANSWERED[version]:
        report = sx.compare(suite, REFERENCE[version], model, judges=["gpt-4"], results=tmp_path)
        pair = report.pairs[REFERENCE[version], model]
        rate, n = file_rate(shared_data, version, model, ids)
        assert pair.win_rate.value == pytest.approx(rate, abs=1e-9)
        assert (pair.used, pair.used + pair.invalid) == (n, 58)
        assert pair.win_rate.low <= rate <= pair.win_rate.high


@pytest.mark.slow
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_recorded_verdicts_on_all_prompts_give_the_published_win_rates(
    version: str, tmp_path: Path, shared_data: Path
) -> None:
    """Answers to the other 747 prompts are not at hand: a stand-in says so, and a recorded judge reads no answer."""
    published = json.loads((shared_data / "alpacaeval" / "published.json").read_text())[version]
    prompts = [{"id": p["index"], "text": p["instruction"]} for p in objects(shared_data, "prompts.jsonl.gz")]
    ids = {str(p["id"]) for p in prompts}
    names = [REFERENCE[version], *published]
    for name in names:
        lines = [{"prompt": p["id"], "text": f"(the answer of {name} to {p['id']} is not at hand)"} for p in prompts]
        write_jsonl(tmp_path / f"{name}.jsonl", lines)
    path = suite_file(tmp_path, prompts, list(verdict_lines(shared_data, version, ids)), names)
    suite = sx.load_suite(str(path))
    for model, row in published.items():
        pair = sx.compare(suite, REFERENCE[version], model, judges=["gpt-4"], results=tmp_path).pairs[
            REFERENCE[version], model
        ]
        assert 100 * pair.win_rate.value == pytest.approx(row["win_rate"], abs=1e-9)
        assert (pair.wins, pair.losses, pair.ties) == (row["n_wins"], row["n_wins_base"], row["n_draws"])
        assert pair.used == row["n_total"]
        assert pair.planned == 805
        # Their +-1.96 standard errors take prompts as independent too: ours agrees where neither is extreme.
        if 20 < row["win_rate"] < 80:
            width = 100 * (pair.win_rate.high - pair.win_rate.low)
            assert width == pytest.approx(2 * 1.96 * row["standard_error"], rel=0.05)


def test_measures_run_end_to_end_on_the_real_answers(tmp_path: Path, shared_data: Path, sciexam: Cli) -> None:
    path = science(shared_data, tmp_path, "v1")
    names = ["phi-2", "phi-2-sft", "phi-2-dpo", "gpt4"]
    done = sciexam("compare", *names, "--suite", str(path), "--judge", "gpt-4", "--json")
    assert done.returncode == 2, "gpt-4 judged models against the reference only"
    assert "judge 'gpt-4' has no verdict on" in done.stderr
    done = sciexam("compare", *names, "--suite", str(path), "--judge", "measures", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert len(report["pairs"]) == 6
    assert all(pair["used"] == 58 and 0 < pair["win_rate"]["value"] < 1 for pair in report["pairs"])
    assert all(pair["p_holm"] >= pair["p_value"] for pair in report["pairs"])
