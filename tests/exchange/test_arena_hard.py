"""Arena-Hard-Auto, v0.1 and v2.0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from exchange.reading import imported, lines, refused, said, write_lines


def v01(folder: Path, games: Any = None) -> Path:
    question = {"question_id": "q", "category": "arena-hard-v0.1", "cluster": "C", "turns": [{"content": "Why?"}]}
    write_lines(folder / "question.jsonl", [question])
    for model in ("gpt-4-0314", "mine"):
        choice = {"index": 0, "turns": [{"content": f"{model} says", "token_len": 2}]}
        answer = {"question_id": "q", "answer_id": "x", "model_id": model, "choices": [choice], "tstamp": 1.5}
        write_lines(folder / "model_answer" / f"{model}.jsonl", [answer])
    given = games or [{"judgment": "one [[A>>B]]", "score": "A>>B"}, {"judgment": "two", "score": None}]
    row = {"question_id": "q", "model": "mine", "judge": "gpt-4-1106-preview", "games": given}
    write_lines(folder / "model_judgment" / "gpt-4-1106-preview" / "mine.jsonl", [row])
    return folder


def v2(folder: Path, labels: list[Any], content: Any = None) -> Path:
    write_lines(folder / "question.jsonl", [{"uid": "u", "category": "hard_prompt", "prompt": "Why?"}])
    for model in ("o3-mini", "mine"):
        messages = [
            {"role": "user", "content": "Why?"},
            {"role": "assistant", "content": content or {"answer": f"{model} says"}},
        ]
        write_lines(folder / "model_answer" / f"{model}.jsonl", [{"uid": "u", "model": model, "messages": messages}])
    games = [{"score": label, "judgment": {"answer": "because"}, "prompt": []} for label in labels]
    row = {"uid": "u", "category": "hard_prompt", "judge": "gpt-4.1", "model": "mine", "baseline": "o3-mini"}
    write_lines(folder / "model_judgment" / "gpt-4.1" / "mine.jsonl", [row | {"games": games}])
    return folder


def test_version_01_lands_with_its_own_baseline_and_both_games(tmp_path: Path) -> None:
    landed = imported("arena-hard", v01(tmp_path / "ah"))
    assert landed.baseline == "gpt-4-0314"
    assert any("gpt-4-0314 is taken" in note for note in landed.notes)
    found = lines(tmp_path / "ah", "verdicts/gpt-4-1106-preview")
    assert said(found, "first", "second", "preferred", "strength", "failure", "label") == [
        ("gpt-4-0314", "mine", "first", "strong", None, "A>>B"),
        ("mine", "gpt-4-0314", None, None, "no verdict", None),
    ]
    (prompt,) = sx.load_suite(str(tmp_path / "out" / "suite.yaml")).prompts
    assert (prompt.text, prompt.category, prompt.metadata) == ("Why?", "arena-hard-v0.1", {"cluster": "C"})


@pytest.mark.parametrize(
    ("label", "means"),
    [
        ("A>>B", ("first", "strong")),
        ("A>B", ("first", "clear")),
        ("A=B", ("tie", None)),
        ("B>A", ("second", "clear")),
        ("B>>A", ("second", "strong")),
        ("A<B", ("second", "clear")),
        ("A<<B", ("second", "strong")),
        ("B<A", ("first", "clear")),
        ("B=A", ("tie", None)),
    ],
)
def test_every_label_of_version_2_means_what_it_says(label: str, means: tuple[Any, Any], tmp_path: Path) -> None:
    imported("arena-hard", v2(tmp_path / "ah", [label, label]))
    found = lines(tmp_path / "ah", "verdicts/gpt-4.1")
    assert said(found, "preferred", "strength") == [means, means]
    assert said(found, "first", "reason") == [("o3-mini", "because"), ("mine", "because")]


def test_what_is_malformed_is_told_with_its_line(tmp_path: Path) -> None:
    folder = v2(tmp_path / "ah", ["A>>>B", 1, "A>B"])
    write_lines(folder / "model_answer" / "more.jsonl", [{"messages": []}, {"uid": "u", "messages": []}, {"y": 1}])
    assert refused("arena-hard", folder) == [
        "model_answer/more.jsonl:1: uid: this key is missing (question_id in v0.1)",
        "model_answer/more.jsonl:2: messages: holds no answer that is a text",
        "model_answer/more.jsonl:3: is no question ('turns', 'prompt'), no answer and no judgment ('games')",
        "model_judgment/gpt-4.1/mine.jsonl:1: games: two games, one in each order, this is "
        "[{'score': 'A>>>B', 'judgment': {'answer': 'because'}, 'p...",
    ]


def test_a_label_that_is_none_is_told(tmp_path: Path) -> None:
    what = "is none of A>>B, A>B, A=B, B>A, B>>A, null"
    assert refused("arena-hard", v2(tmp_path / "ah", ["A>>>B", 1])) == [
        f"model_judgment/gpt-4.1/mine.jsonl:1: games.0.score: 'A>>>B' {what}",
        f"model_judgment/gpt-4.1/mine.jsonl:1: games.1.score: 1 {what}",
    ]


def test_an_answer_that_is_an_image_is_refused(tmp_path: Path) -> None:
    folder = v2(tmp_path / "ah", ["A=B", "A=B"], content=[{"type": "image", "image": "x.png"}])
    told = "model_answer/mine.jsonl:1: messages: holds no answer that is a text"
    more = " (and 1 more like this, the next in model_answer/o3-mini.jsonl:1)"
    assert refused("arena-hard", folder) == [told + more]


def test_each_prompt_of_version_2_names_the_baseline_of_its_category(tmp_path: Path) -> None:
    folder = v2(tmp_path / "ah", ["A>B", "B>A"])
    more = [{"uid": "w", "category": "creative_writing", "prompt": "Write."}, {"uid": "x", "category": "other"}]
    write_lines(folder / "more" / "question.jsonl", [more[0], more[1] | {"prompt": "Nobody was asked."}])
    game = {"score": "A=B", "judgment": {"answer": "."}}
    row = {"uid": "w", "judge": "gpt-4.1", "model": "mine", "baseline": "gemini [2]", "games": [game, game]}
    write_lines(folder / "model_judgment" / "gpt-4.1" / "others.jsonl", [row])
    landed = imported("arena-hard", folder)
    named = dict(said(lines(folder, "prompts"), "id", "baseline"))
    assert named == {"u": "o3-mini", "w": "gemini _2", "x": None}
    of_category, unanswered = sorted(landed.notes, key=lambda note: "no file" in note)
    assert unanswered.endswith("others.jsonl:1: no file holds an answer of 'gemini [2]'; known: mine, o3-mini")
    assert of_category == (
        "Each category has a baseline of its own: o3-mini in hard_prompt, gemini [2] in creative_writing. `leaderboard "
        "--as arena-hard` counts by them; elsewhere the baseline is o3-mini."
    )
