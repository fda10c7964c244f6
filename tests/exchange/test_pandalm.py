"""PandaLM's labels by several annotators, in the original layout and as items beside a table of labels."""

from __future__ import annotations

import gzip
import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from conftest import Cli
from exchange.reading import imported, lines, refused, said, write_lines
from sciexam.stats import cohen_kappa

PEOPLE = ("annotator1", "annotator2", "annotator3")


def item(idx: int = 0, **more: Any) -> dict[str, Any]:
    texts = {"instruction": "Say it.", "input": float("nan"), "response1": "one", "response2": "two"}
    labels = {"annotator1": 1, "annotator2": 2, "annotator3": 0}
    return {"idx": idx, "motivation_app": "Wikipedia", "cmp_key": "bloom-7b_llama-7b", **texts, **labels, **more}


def test_the_original_json_lands_with_three_people(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "testset-v1.json").write_text(json.dumps([item(), item(1, input="This.")]), encoding="utf-8")
    judged = [{"idx": 0, "gpt_result": "Tie"}, {"idx": 1, "gpt_result": "garbage"}]
    (tmp_path / "p" / "gpt-3.5-turbo-testset-v1.json").write_text(json.dumps(judged), encoding="utf-8")
    imported("pandalm", tmp_path / "p")
    assert said(lines(tmp_path / "p", "verdicts/annotators")[:3], "rater", "preferred", "kind") == [
        ("annotator1", "first", "human"),
        ("annotator2", "second", "human"),
        ("annotator3", "tie", "human"),
    ]
    assert said(lines(tmp_path / "p", "verdicts/gpt-3.5-turbo"), "preferred", "failure") == [
        ("tie", None),
        (None, "garbage"),
    ]
    assert said(lines(tmp_path / "p", "prompts"), "text") == [("Say it.",), ("Say it.\n\nThis.",)]


def test_the_real_labels_land_as_they_are(tmp_path: Path, shared_data: Path) -> None:
    source = shared_data / "pandalm"
    landed = imported("pandalm", copied(source, tmp_path / "p"))
    assert (landed.prompts, landed.verdicts["annotators"], len(landed.responses)) == (999, 2997, 5)
    sides = {"tie": 0, "first": 1, "second": 2}
    found: dict[str, list[int]] = {}
    for line in lines(tmp_path / "p", "verdicts/annotators"):
        found.setdefault(line["rater"], []).append(sides[line["preferred"]])
    derived = json.loads((source / "derived.json").read_text(encoding="utf-8"))["cohen_kappa"]
    for one, other in combinations(PEOPLE, 2):
        kappa = cohen_kappa(found[one], found[other])
        assert kappa.value == pytest.approx(derived[f"{one}-{other}"], abs=1e-12)
    failed = [line for line in lines(tmp_path / "p", "verdicts/gpt35") if line.get("failure")]
    assert len(failed) == 25


@pytest.mark.slow
def test_the_real_labels_give_the_three_published_kappas_through_agree(
    tmp_path: Path, shared_data: Path, sciexam: Cli
) -> None:
    copied(shared_data / "pandalm", tmp_path / "p")
    assert sciexam("import", "pandalm", "p", "--out", "out").returncode == 0
    done = sciexam("agree", "--suite", "out/suite.yaml", "--json")
    assert done.returncode == 0, done.stderr
    pairs = {tuple(pair["raters"]): pair for pair in json.loads(done.stdout)["pairs"] if pair["category"] is None}
    kappas = [round(pairs[pair]["kappa"]["value"], 2) for pair in combinations(PEOPLE, 2)]
    assert sorted(kappas) == sorted([0.85, 0.88, 0.86])
    assert all(pairs[pair]["items"] == 999 for pair in combinations(PEOPLE, 2))


def test_what_is_malformed_is_told_with_its_line(tmp_path: Path) -> None:
    rows = [
        item(annotator2=3),
        item(1, cmp_key="bloom_7b_llama"),
        {"idx": 9, "annotator1": 1},
        {"instruction": "x"},
        item(0, cmp_key="bloom-7b_opt-7b"),
    ]
    write_lines(tmp_path / "p" / "items.jsonl", rows)
    told = refused("pandalm", tmp_path / "p")
    for expected in (
        "items.jsonl:1: annotator2: 3 is none of 0 (tie), 1, 2",
        "items.jsonl:2: cmp_key: two models with one '_' between them, this is 'bloom_7b_llama'",
        "items.jsonl:3: idx: no item is called 9; give the file of items, too",
        "items.jsonl:4: idx: this key is missing",
        "items.jsonl:5: idx: 0 compares other models in another file",
    ):
        assert expected in told


def copied(source: Path, folder: Path) -> Path:
    folder.mkdir()
    (folder / "labels.csv").write_bytes((source / "labels.csv").read_bytes())
    with gzip.open(source / "items.jsonl.gz", "rb") as file:
        (folder / "items.jsonl").write_bytes(file.read())
    return folder
