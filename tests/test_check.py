"""A check finds what is wrong with a suite and its files before any call is made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import Cli
from sciexam.check import Finding, check, normalise
from sciexam.errors import DocumentError
from sciexam.suite import load_suite

QUESTIONS = {"q1": "Why is the sky blue?", "q2": "How do vaccines work?", "q3": "Why do leaves fall?"}
ANSWERED = {"weights": "w", "responses": "answers.jsonl"}
TRAINED = {
    "sft": {"from": "base", "stage": "sft", "data": "train.jsonl", "responses": "answers.jsonl"},
    "base": {"weights": "w"},
}


def jsonl(path: Path, *rows: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def findings(folder: Path, models: dict[str, Any], **more: Any) -> list[Finding]:
    """What is found in a suite of three prompts with `models`, the first a contestant; JSON is YAML.

    answers.jsonl holds an answer to every prompt.
    """
    prompts = more.pop("prompts", [{"id": i, "text": text, "category": "c"} for i, text in QUESTIONS.items()])
    jsonl(folder / "prompts.jsonl", *prompts)
    jsonl(folder / "answers.jsonl", *({"prompt": prompt["id"], "text": "a"} for prompt in prompts))
    suite = {"suite": "exam", "prompts": "prompts.jsonl", "models": models, "contestants": list(models)[:1]} | more
    (folder / "exam.yaml").write_text(json.dumps(suite))
    return check(load_suite(str(folder / "exam.yaml")))


def split(found: list[Finding], folder: Path) -> tuple[list[str], list[str]]:
    """Remarks and faults, without the folder."""
    texts = [(finding.text.replace(f"{folder}/", ""), finding.fault) for finding in found]
    return [text for text, fault in texts if not fault], [text for text, fault in texts if fault]


def test_answers_are_counted_and_unmatched_ones_are_a_fault(tmp_path: Path) -> None:
    rows = [{"prompt": "q1", "text": "a"}, {"prompt": QUESTIONS["q2"], "text": "b"}, {"prompt": "q9", "text": "c"}]
    jsonl(tmp_path / "a.jsonl", *rows, *({"prompt": f"x{i}", "text": "d"} for i in range(6)))
    remarks, faults = split(findings(tmp_path, {"a": {"responses": "a.jsonl"}}), tmp_path)
    assert "a: 2 of 3 prompts have an answer; none to 'Why do leaves fall?'" in remarks
    assert faults == ["a.jsonl: 7 answers match no prompt: 'q9', 'x0', 'x1', 'x2', 'x3'"]


def test_all_files_and_judges_are_looked_at_though_some_are_faulty(tmp_path: Path) -> None:
    jsonl(tmp_path / "a.jsonl", {"prompt": "q1"}, {"prompt": "q1", "txt": "a"})
    jsonl(tmp_path / "v.jsonl", {"prompt": "q1", "first": "a", "second": "b"})
    (tmp_path / "sft.jsonl").write_text("{")
    (tmp_path / "t.j2").write_text("{{ answr_a }}")
    (tmp_path / "reason.j2").write_text("{{ question }}{{ answer_a }}{{ answer_b }}{{ nonce }}")
    judges = {
        "template": {"backend": "openai", "model": "m", "template": "t.j2"},
        "incomplete": {"backend": "openai", "model": "m", "template": "reason.j2"},
        "recorded": {"backend": "recorded", "verdicts": "v.jsonl"},
        "stranger": {"backend": "no.such.module:Judge"},
        "measures": {"backend": "measures"},
    }
    models = {
        "a": {"responses": "a.jsonl"},
        "b": {"responses": "none.jsonl"},
        "c": {"from": "a", "stage": "sft", "data": "sft.jsonl"},
    }
    remarks, faults = split(findings(tmp_path, models, judges=judges), tmp_path)
    assert faults == [
        "a.jsonl:1: text: this key is missing, in each of the 2 lines; the first one has the keys prompt",
        'a.jsonl: a line of answers is {"prompt": "...", "text": "..."}: write it so, or say which column is what: '
        "`sciexam import table` with a --mapping (docs/importing.md)",
        "none.jsonl: no such file or directory",
        "judge template: t.j2: {{ answr_a }} is not a variable of a judge template; did you mean 'answer_a'?",
        "judge incomplete: template reason.j2: must show {{ boundary }} to be read in the form 'nonce'",
        "judge recorded: v.jsonl:1: a verdict has 'preferred' or 'probability_second', or else 'failure'",
        "judge stranger: backend 'no.such.module:Judge': No module named 'no'; "
        "is it installed, or its folder in PYTHONPATH?",
        "sft.jsonl:1: the line ends in the middle of its JSON; was the file cut off?",
    ]
    assert "judge measures: ready" in remarks


def test_a_good_judge_of_every_kind_is_ready_and_no_endpoint_is_called(tmp_path: Path) -> None:
    rows = [{"prompt": "q1", "first": "a", "second": "b", "preferred": "tie", "rater": rater} for rater in ("x", "y")]
    jsonl(tmp_path / "v.jsonl", *rows)
    judges = {
        "gpt": {"backend": "openai", "model": "m", "base_url": "http://127.0.0.1:9", "template": "mt-bench"},
        "recorded": {"backend": "recorded", "verdicts": "v.jsonl"},
        "fake": {"backend": "scripted", "rules": [{"say": "A"}]},
    }
    remarks, faults = split(findings(tmp_path, {"m": ANSWERED}, judges=judges), tmp_path)
    assert faults == []
    assert remarks[2:] == [
        "judge gpt: ready",
        "judge recorded: ready, 2 raters",
        "judge fake: ready",
    ]


TRAINING: list[dict[str, Any]] = [
    {"prompt": "WHY is the   sky blue", "completion": "x"},
    {"text": "Why is the sky blue? And more."},
    {"instruction": "How do vaccines work?", "output": "x"},
    {"question": "why do leaves fall", "answer": "x"},
    {"messages": [{"role": "system", "content": "Why do leaves fall?"}, {"role": "user", "content": "Hi"}]},
    {"messages": [{"role": "user", "content": "Why do leaves fall?!"}, {"role": "assistant", "content": "x"}]},
    {"prompt": [{"role": "user", "content": "How do vaccines work?"}], "chosen": [], "rejected": []},
    {"prompt": 5, "messages": "Why do leaves fall?"},
    {"prompt": ""},
]


def test_prompts_of_the_exam_in_training_data_are_found_word_for_word(tmp_path: Path) -> None:
    jsonl(tmp_path / "train.jsonl", *TRAINING)
    _, faults = split(findings(tmp_path, TRAINED), tmp_path)
    assert faults == [
        "train.jsonl: 8 lines train sft on prompts of the exam: "
        "line 1 holds q1, line 2 holds q1, line 3 holds q2, line 4 holds q3, line 5 holds q3"
    ]


SKY = "Why is the sky blue?"  # q1, five words
LEAVES = "Why do leaves fall?"  # q3, four words


@pytest.mark.parametrize(
    ("line", "held"),
    [
        ({"conversations": [{"from": "human", "value": LEAVES}, {"from": "gpt", "value": "x"}]}, "q3"),
        (
            {
                "chosen": [{"role": "user", "content": LEAVES}, {"role": "assistant", "content": "x"}],
                "rejected": [{"role": "user", "content": LEAVES}, {"role": "assistant", "content": "y"}],
            },
            "q3",
        ),
        ({"rejected": [[{"content": LEAVES}]]}, "q3"),
        ({"instruction": "Answer the question.", "input": "How do vaccines work?", "output": "x"}, "q2"),
        ({"text": f"### Instruction:\n{SKY}\n\n### Response:\nBecause of scattering."}, "q1"),
        ({"text": f"<|im_start|>user\n{SKY}<|im_end|>\n<|im_start|>assistant"}, "q1"),
        ({"chosen": f"\n\nHuman: {SKY}\n\nAssistant: x", "rejected": "y"}, "q1"),
        ({"any": {"where": [1, None, [SKY.upper()]]}}, "q1"),
    ],
    ids=["ShareGPT", "preferences", "deep list", "instruction and input", "template", "ChatML", "HH", "elsewhere"],
)
def test_a_prompt_is_found_in_every_format_of_training_data(tmp_path: Path, line: dict[str, Any], held: str) -> None:
    jsonl(tmp_path / "train.jsonl", {"text": "Nothing."}, line)
    _, faults = split(findings(tmp_path, TRAINED), tmp_path)
    assert faults == [f"train.jsonl: 1 lines train sft on prompts of the exam: line 2 holds {held}"]


@pytest.mark.parametrize(
    "line",
    [
        {"text": f"Tell me: {LEAVES}"},  # a prompt of four words or fewer must be the whole text
        {"text": "Say why is the sky bluest."},  # whole words only
        {"text": "Blue is the sky why?"},
        {"Why is the sky blue?": "a key is no text"},
        {"text": "Why is the sky", "more": "blue?"},
        {},
    ],
)
def test_texts_that_only_resemble_a_prompt_are_no_contamination(tmp_path: Path, line: dict[str, Any]) -> None:
    jsonl(tmp_path / "train.jsonl", line)
    remarks, faults = split(findings(tmp_path, TRAINED), tmp_path)
    assert faults == []
    assert "sft: no prompt of the exam stands word for word in train.jsonl" in remarks


def test_training_prompts_count_and_absent_data_are_said_to_be_unchecked(tmp_path: Path) -> None:
    jsonl(tmp_path / "train.jsonl", {"prompt": "Why is the sky blue?"})
    models = {
        "base": ANSWERED,
        "rm": {"from": "base", "stage": "reward", "data": "gone.jsonl"},
        "rs": {"from": "base", "stage": "best_of_n", "prompts": "train.jsonl", "reward": "rm"},
    }
    found = findings(tmp_path, models)
    remarks, faults = split(found, tmp_path)
    assert faults == ["train.jsonl: 1 lines train rs on prompts of the exam: line 1 holds q1"]
    needed = "`sciexam train rm --suite exam.yaml` needs it, and it was not searched for prompts of the exam"
    unchecked = f"rm: data: gone.jsonl: no such file; {needed}"
    assert unchecked in remarks
    assert [f.text.replace(f"{tmp_path}/", "") for f in found if f.unchecked] == [unchecked]
    _, faults = split(findings(tmp_path, models, contestants=["base", "rs"]), tmp_path)
    assert faults[-1] == "train.jsonl: 1 lines train rs on prompts of the exam: line 1 holds q1"
    assert (
        "rm: data: gone.jsonl: no such file; put it there before `sciexam train rm --suite exam.yaml`, or name the "
        "weights with `weights: FOLDER`"
    ) in faults


@pytest.mark.parametrize(
    ("data", "said"), [("gone.jsonl", "nothing is wrong in what was checked"), ("train.jsonl", "nothing is wrong")]
)
def test_the_last_line_claims_no_more_than_was_checked(tmp_path: Path, sciexam: Cli, data: str, said: str) -> None:
    jsonl(tmp_path / "train.jsonl", {"prompt": "Something else."})
    findings(tmp_path, {"sft": TRAINED["sft"] | {"data": data}, "base": {"weights": "w"}})
    done = sciexam("check", "exam.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == said


@pytest.mark.parametrize(
    ("model", "fault"),
    [
        (
            {"weights": "w"},
            "m: weights: w is not in the local cache; a command that asks it fetches it, as does: hf download w",
        ),
        (
            {"from": "base", "stage": "sft", "data": "train.jsonl"},
            "m: it was not trained here, or its exam rejected it; `sciexam train m --suite exam.yaml` trains it, or "
            "name its weights (`weights: FOLDER`) or its answers (`responses: FILE`) in the suite",
        ),
    ],
)
def test_a_contestant_that_nothing_can_ask_is_a_fault(tmp_path: Path, model: dict[str, Any], fault: str) -> None:
    jsonl(tmp_path / "train.jsonl", {"text": "x"})
    _, faults = split(findings(tmp_path, {"m": model, "base": {"weights": "w"}}), tmp_path)
    assert faults == [fault]


def test_a_contestant_behind_an_endpoint_is_ready_only_with_its_key_and_is_not_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpt = {"backend": "openai", "model": "m", "base_url": "https://127.0.0.2.invalid/v1", "api_key_env": "EXAM_KEY"}
    monkeypatch.delenv("EXAM_KEY", raising=False)
    _, (fault,) = split(findings(tmp_path, {"gpt": gpt}), tmp_path)
    assert fault.startswith("gpt: ")
    assert "EXAM_KEY" in fault
    monkeypatch.setenv("EXAM_KEY", "sk-sentinel")
    remarks, faults = split(findings(tmp_path, {"gpt": gpt}), tmp_path)
    assert faults == []
    assert "gpt: ready; it was not called" in remarks


def test_a_key_in_the_place_of_a_variable_name_is_refused_and_not_repeated(tmp_path: Path, sciexam: Cli) -> None:
    key = "sk-sentinel-0123456789abcdef"
    gpt = {"backend": "openai", "model": "m", "api_key_env": key}
    with pytest.raises(DocumentError) as caught:
        findings(tmp_path, {"gpt": gpt})
    assert [fault.removeprefix(f"{tmp_path}/") for fault in caught.value.faults] == [
        "exam.yaml:1: models.gpt.api_key_env: this is no name of an environment variable; "
        "a key itself never goes into a file"
    ]
    done = sciexam("check", "exam.yaml")
    assert done.returncode == 2
    assert key not in done.stdout + done.stderr


def test_a_prompt_without_a_word_matches_no_empty_line(tmp_path: Path) -> None:
    jsonl(tmp_path / "train.jsonl", {"prompt": ""}, {"prompt": "!"})
    prompts = [{"id": "q1", "text": "∑?"}, {"id": "q2", "text": "∏?"}]
    remarks, faults = split(findings(tmp_path, TRAINED, prompts=prompts), tmp_path)
    assert faults == []
    assert not [remark for remark in remarks if "ask the same" in remark]


def test_prompts_of_one_text_are_named_with_what_that_means_for_the_interval(tmp_path: Path) -> None:
    prompts = [
        {"id": "a", "text": "Why?"},
        {"id": "b", "text": "Why?"},
        {"id": "c", "text": "why"},
        {"id": "d", "text": "How?", "group": "g"},
        {"id": "e", "text": "how", "group": "g"},
    ]
    remarks, faults = split(findings(tmp_path, {"m": ANSWERED}, prompts=prompts), tmp_path)
    assert faults == []
    assert [remark for remark in remarks if "ask the same" in remark] == [
        "prompts 'a' and 'b' ask the same; they count as one in every interval",
        "prompts 'a' and 'c' ask the same; give them one `group`, or they count as two independent prompts",
        "prompts 'd' and 'e' ask the same; they count as one in every interval",
    ]


@pytest.mark.parametrize(("text", "same"), [("  Straße,\tEIN!", "strasse ein"), ("x_1 – y", "x_1 y"), ("?!", "")])
def test_case_space_and_punctuation_are_left_out_of_a_comparison(text: str, same: str) -> None:
    assert normalise(text) == same


def test_a_judge_with_the_weights_of_a_model_here_is_one_of_training_or_has_none(tmp_path: Path) -> None:
    """Not a hub's id that nobody has fetched yet: no download would help."""
    jsonl(tmp_path / "d.jsonl", {"prompt": "What is heat?", "completion": "Motion."})
    judge = {"backend": "huggingface", "weights": "m1", "grading": "self-rewarding"}
    own = {"stage": "self_rewarding", "from": "m1", "prompts": "d.jsonl", "judge": "self", "iterations": 1}
    models = {
        "a": {"responses": "answers.jsonl"},
        "m0": {"weights": "w"},
        "m1": {"from": "m0", "stage": "sft", "data": "d.jsonl"},
        "m2": own,
    }
    judges = {"self": judge, "other": judge}
    remarks, faults = split(findings(tmp_path, models, rubric="self-rewarding", judges=judges), tmp_path)
    assert (
        "judge self: asked in the training of m2, each time with the weights of the model that marks itself; by itself "
        "it has none (m1 is a model of this suite)"
    ) in remarks
    assert faults == [
        "judge other: weights: m1 is a model of this suite, whose weights training leaves among the results; name a "
        "folder, or a hub's id"
    ]


def test_pairs_of_equal_answers_are_counted(tmp_path: Path) -> None:
    same = [{"prompt": "q1", "text": "It scatters."}, {"prompt": QUESTIONS["q2"], "text": "Memory."}]
    jsonl(tmp_path / "a.jsonl", *same, {"prompt": "q3", "text": "They dry."})
    jsonl(tmp_path / "b.jsonl", *same, {"prompt": "q3", "text": "They die."})
    models = {name: {"responses": f"{name}.jsonl"} for name in "ab"}
    remarks, _ = split(findings(tmp_path, models, contestants=["a", "b"]), tmp_path)
    assert "a and b: 2 of 3 pairs of answers are equal texts, which say nothing of either" in remarks


def test_a_rubric_that_was_not_filled_in_is_told(tmp_path: Path, sciexam: Cli) -> None:
    assert sciexam("init", "exam", cwd=tmp_path).returncode == 0
    told = sciexam("check", "exam", cwd=tmp_path / "exam").stdout
    assert "warning: rubric 'exam': about: is still the template's sentence" in told


def test_a_check_names_the_shipped_suite_takes_suite_as_an_option_and_no_file_of_answers(
    sciexam: Cli, tmp_path: Path
) -> None:
    shipped = sciexam("check").stdout.splitlines()
    assert shipped[0] == (
        "suite science, the shipped one: there is none in ./suites; to begin one: sciexam init my-exam"
    )
    assert sciexam("check", "--suite", "science").stdout.splitlines() == shipped[1:]
    done = sciexam("check", "old.jsonl")
    assert (done.returncode, done.stderr) == (
        2,
        "sciexam: old.jsonl is no suite, which is a YAML file; files of answers are looked over by the comparison of "
        "two, before anything is asked: sciexam compare old.jsonl OTHER.jsonl\n",
    )
    assert "two are named: a and b" in sciexam("check", "a", "-s", "b").stderr
