"""RewardBench's files of scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from exchange.reading import imported, lines, refused, said, write_lines


def talk(answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": answer}]


def scores(folder: Path, name: str = "rm", **columns: Any) -> Path:
    given = {
        **{"text_chosen": [talk("good"), talk("fine")], "text_rejected": [talk("bad"), talk("poor")]},
        **{"id": [7, 9], "subset": ["chat", "math"], "results": [1, 0]},
        **{"scores_chosen": [2.5, -1.0], "scores_rejected": [0.5, 1.0], "model": f"org/{name}", "model_type": "Seq"},
    } | columns
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(given, indent=4), encoding="utf-8")
    return folder


def test_columns_of_scores_land_as_rewards_of_chosen_and_rejected(tmp_path: Path) -> None:
    landed = imported("rewardbench", scores(tmp_path / "rb"))
    assert list(landed.rewards) == ["org/rm"]
    rewards = next((tmp_path / "out" / "rewards").glob("*.jsonl")).relative_to(tmp_path / "out").with_suffix("")
    assert said(lines(tmp_path / "rb", str(rewards)), "prompt", "model", "reward", "rater") == [
        ("7", "chosen", 2.5, "org/rm"),
        ("7", "rejected", 0.5, "org/rm"),
        ("9", "chosen", -1.0, "org/rm"),
        ("9", "rejected", 1.0, "org/rm"),
    ]
    assert said(lines(tmp_path / "rb", "prompts"), "id", "text", "category") == [
        ("7", "Why?", "chat"),
        ("9", "Why?", "math"),
    ]
    assert said(lines(tmp_path / "rb", "responses/chosen"), "text") == [("good",), ("fine",)]


def test_templated_texts_of_two_models_land_once_and_the_others_are_counted(tmp_path: Path) -> None:
    texts = {"text_chosen": ["<u>Why?<a>good", "x"], "text_rejected": ["<u>Why?<a>bad", "y"]}
    scores(tmp_path / "rb", "one", **texts)
    others = {key: [f"### {text}" for text in column] for key, column in texts.items()}
    landed = imported("rewardbench", scores(tmp_path / "rb", "two", **others))
    (omission,) = landed.left_out
    assert (omission.rows, "another template" in omission.why) == (4, True)
    assert landed.rewards == {"org/one": 4, "org/two": 4}


def test_the_lines_of_save_all_are_numbered(tmp_path: Path) -> None:
    write_lines(tmp_path / "rb" / "rm_all.jsonl", [{"chosen": 1.5, "rejected": [2.0]}])
    landed = imported("rewardbench", tmp_path / "rb")
    assert said(lines(tmp_path / "rb", "rewards/rm"), "prompt", "model", "reward") == [
        ("1", "chosen", 1.5),
        ("1", "rejected", 2.0),
    ]
    assert landed.answers_missing == 2


def test_version_2_has_one_right_answer_and_several_wrong_ones(tmp_path: Path) -> None:
    columns = {"text": [[talk("r"), talk("w1"), talk("w2")]], "scores": [[0.9, 0.1, 0.2]], "results": [1]}
    given = columns | {"id": ["a"], "subset": ["Focus"], "num_correct": [1], "model": "rm"}
    (tmp_path / "rb").mkdir()
    (tmp_path / "rb" / "rm.json").write_text(json.dumps(given), encoding="utf-8")
    imported("rewardbench", tmp_path / "rb")
    assert said(lines(tmp_path / "rb", "rewards/rm"), "model", "sample", "reward") == [
        ("chosen", None, 0.9),
        ("rejected", None, 0.1),
        ("rejected", 1, 0.2),
    ]


def test_a_model_without_scores_gives_verdicts(tmp_path: Path) -> None:
    none = [None, None]
    scores(tmp_path / "rb", scores_chosen=none, scores_rejected=none, results=[0.5, 0])
    imported("rewardbench", tmp_path / "rb")
    path = next((tmp_path / "out" / "verdicts").glob("*.jsonl"))
    assert said([json.loads(line) for line in path.read_text().splitlines()], "first", "preferred") == [
        ("chosen", "tie"),
        ("chosen", "second"),
    ]


def test_accuracies_alone_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "rb"
    folder.mkdir()
    (folder / "rm.json").write_text('{"model": "rm", "alpacaeval-easy": 0.9}', encoding="utf-8")
    assert refused("rewardbench", folder) == [
        "rm.json: holds no scores of items (scores_chosen, scores, results); accuracies cannot be imported"
    ]


def test_what_is_malformed_is_told_with_its_item(tmp_path: Path) -> None:
    folder = scores(tmp_path / "rb", scores_chosen=["2", 1.0], scores_rejected=[1.0, None])
    scores(folder, "short", id=[7])
    assert refused("rewardbench", folder) == [
        "rm.json:1: scores of chosen: a number, this is '2'",
        "rm.json:2: one answer has a score, and the other has none",
        "short.json: the columns differ in length: text_chosen 2, text_rejected 2, id 1, subset 2, results 2, "
        "scores_chosen 2, scores_rejected 2",
    ]


def test_a_file_that_was_cut_off_says_so(tmp_path: Path) -> None:
    folder = scores(tmp_path / "rb")
    path = folder / "rm.json"
    path.write_text(path.read_text()[:300], encoding="utf-8")
    (told,) = refused("rewardbench", folder)
    assert told.endswith("it ends in the middle of its JSON; was the file cut off?")
