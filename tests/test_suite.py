"""A suite is resolved once; its faults name file, line and key, and files lie beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sciexam.errors import DocumentError, UsageError
from sciexam.prompts import read_prompts
from sciexam.suite import load_suite, name_files, suite_digest, suite_of_files
from sciexam.suite_file import usual_suite

EXAM = """\
suite: exam
prompts: q.jsonl
models:
  base: {weights: org/base, revision: abc, responses: base.jsonl}
  sft:
    from: base
    stage: sft
    data: demos.jsonl
  gpt: {backend: openai, model: gpt-4, generation: {max_tokens: 9}}
contestants: [base, sft]
baseline: base
generation: {max_tokens: 100, temperature: 0.5}
judges:
  measures: {backend: measures}
  gpt-4:
    backend: openai
    model: gpt-4
    template: t.j2
judge: measures
"""


BACKENDS = (
    "openai, huggingface, vllm, measures, recorded, reward, rewards, scripted, panel, cascade, or package.module:Class"
)


def write(folder: Path, old: str = "", new: str = "") -> Path:
    """The suite file above in `folder` with `old` replaced by `new`, and its prompts."""
    assert old in EXAM
    (folder / "exam.yaml").write_text(EXAM.replace(old, new, 1))
    (folder / "q.jsonl").write_text('{"id": 1, "text": "Why?", "level": "school"}\n')
    return folder / "exam.yaml"


def faults(folder: Path, old: str, new: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        load_suite(str(write(folder, old, new)))
    return [fault.removeprefix(f"{folder}/exam.yaml:") for fault in caught.value.faults]


def test_files_lie_beside_the_suite_wherever_the_command_runs(tmp_path: Path) -> None:
    suite = load_suite(str(write(tmp_path)))
    assert suite.models["base"].responses == str(tmp_path / "base.jsonl")  # type: ignore[union-attr]
    assert suite.models["sft"].data == str(tmp_path / "demos.jsonl")  # type: ignore[union-attr]
    assert suite.judges["gpt-4"].template == str(tmp_path / "t.j2")  # type: ignore[union-attr]
    assert suite.rubric.rubric == "helpfulness"


def test_a_model_replaces_the_suite_settings_field_by_field(tmp_path: Path) -> None:
    suite = load_suite(str(write(tmp_path)))
    assert (suite.generation_of("gpt").max_tokens, suite.generation_of("gpt").temperature) == (9, 0.5)
    assert suite.generation_of("base") == suite.generation


def test_the_first_judge_is_the_default_one(tmp_path: Path) -> None:
    assert load_suite(str(write(tmp_path, "judge: measures\n", ""))).judge == "measures"


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("[base, sft]", "[base, stf]", ["10: contestants.1: 'stf' is not a model; did you mean 'sft'?"]),
        ("[base, sft]", "[base, base]", ["10: contestants.1: 'base' stands here twice"]),
        ("baseline: base", "baseline: bas", ["11: baseline: 'bas' is not a model; did you mean 'base'?"]),
        ("judge: measures", "judge: gpt-5", ["19: judge: 'gpt-5' is not a judge; did you mean 'gpt-4'?"]),
        ("from: base", "from: bse", ["5: models.sft: 'bse' is not among the models; did you mean 'base'?"]),
        ("from: base", "from: sft", ["5: models.sft: descends from itself: sft -> sft"]),
        ("revision:", "revison:", ["4: models.base.revison: unknown key; did you mean 'revision'?"]),
        ("    data: demos.jsonl\n", "", ["5: models.sft.data: this key is missing"]),
        ("template:", "tempalte:", ["18: judges.gpt-4.tempalte: unknown key; did you mean 'template'?"]),
        (
            "max_tokens: 9",
            "max_tokens: 0",
            ["9: models.gpt.generation.max_tokens: input should be greater than 0, not 0"],
        ),
        (
            "model: gpt-4, gen",
            "api_key: sk-secret-secret, model: gpt-4, gen",
            [
                "9: models.gpt.api_key: keys are never written in files; "
                "name the environment variable that holds it: api_key_env: NAME"
            ],
        ),
        (
            "stage: sft",
            "stage: stf",
            ["7: models.sft.stage: 'stf' is not known; did you mean 'sft'?"],
        ),
        (
            "{backend: openai",
            "{backend: opnai",
            ["9: models.gpt.backend: 'opnai' is not known; did you mean 'openai'?"],
        ),
        (
            "    stage: sft\n    data: demos.jsonl\n",
            "",
            [
                "5: models.sft: name what it is by one of responses, weights, backend or stage: "
                "openai, huggingface, vllm, scripted, package.module:Class, pretrain, external, sft, reward, "
                "best_of_n, dpo, rloo, ppo, self_rewarding"
            ],
        ),
        (
            "{backend: measures}",
            "{backend: measure}",
            ["14: judges.measures.backend: 'measure' is not known; did you mean 'measures'?"],
        ),
        (
            "{backend: measures}",
            "{backend: recordd, verdicts: v.jsonl}",
            ["14: judges.measures.backend: 'recordd' is not known; did you mean 'recorded'?"],
        ),
        ("{backend: measures}", "{verdicts: v.jsonl}", [f"14: judges.measures: a judge has a backend: {BACKENDS}"]),
        (
            "    model: gpt-4\n    template",
            "    model: gpt-4\n    api_key_env: sk-secret-secret\n    template",
            [
                "18: judges.gpt-4.api_key_env: this is no name of an environment variable; "
                "a key itself never goes into a file"
            ],
        ),
        ("suite: exam", "suite: ../exam", ["1: suite: string should match pattern '^[\\w][\\w.-]*$', not '../exam'"]),
    ],
)
def test_a_fault_of_a_suite_is_told_with_its_line(tmp_path: Path, old: str, new: str, found: list[str]) -> None:
    assert faults(tmp_path, old, new) == found


def test_all_unknown_names_of_a_suite_come_at_once(tmp_path: Path) -> None:
    found = faults(tmp_path, "contestants: [base, sft]\nbaseline: base", "contestants: [a, b, sft]\nbaseline: c")
    assert [fault.split(": ")[1] for fault in found] == ["contestants.0", "contestants.1", "baseline"]


def test_a_suite_without_any_judge_is_refused(tmp_path: Path) -> None:
    judges = EXAM[EXAM.index("judges:") : EXAM.index("judge: measures")]
    (fault,) = faults(tmp_path, judges, "judges: {}\n")
    assert fault.startswith("13: judges: ")


def test_a_missing_prompts_file_is_told_where_it_is_named(tmp_path: Path) -> None:
    assert faults(tmp_path, "prompts: q.jsonl", "prompts: p.jsonl") == [f"2: prompts: {tmp_path}/p.jsonl: no such file"]


def test_an_unknown_model_or_judge_is_refused_with_the_nearest(tmp_path: Path) -> None:
    suite = load_suite(str(write(tmp_path)))
    with pytest.raises(UsageError, match="'gtp' is not a model of suite 'exam'; did you mean 'gpt'"):
        suite.model("gtp")
    with pytest.raises(
        UsageError, match=r"'gpt-5' is not a judge of suite 'exam'; did you mean 'gpt-4'\? .*openai:MODEL"
    ):
        suite.judge_spec("gpt-5")
    with pytest.raises(UsageError, match=r"v\.jsonl: no such file of verdicts"):
        suite.judge_spec("v.jsonl")
    with pytest.raises(UsageError, match="'openai:' is not a judge"):
        suite.judge_spec("openai:")
    with pytest.raises(UsageError, match="openai:MODEL: put a model's name in the place of MODEL"):
        suite.judge_spec("openai:MODEL")
    assert suite.judge_spec("openai:gpt-9").model == "gpt-9"  # type: ignore[union-attr]


def test_a_reward_model_of_the_lineage_is_a_judge_by_its_name(tmp_path: Path) -> None:
    rm = "  rm: {from: sft, stage: reward, data: pairs.jsonl}\n"
    with pytest.raises(UsageError, match=r"rm: it has no weights here; run: sciexam train rm --suite .*\.yaml"):
        load_suite(str(write(tmp_path, "contestants:", f"{rm}contestants:"))).judge_spec("rm")
    made = rm.replace("}", ", weights: org/rm}")
    judge = load_suite(str(write(tmp_path, "contestants:", f"{made}contestants:"))).judge_spec("rm")
    assert (judge.backend, judge.weights) == ("reward", "org/rm")  # type: ignore[union-attr]


def test_what_makes_verdicts_comparable_is_the_prompts_and_the_rubric(tmp_path: Path) -> None:
    suite = load_suite(str(write(tmp_path)))
    assert suite_digest(load_suite(str(write(tmp_path, "baseline: base", "baseline: sft")))) == suite_digest(suite)
    assert suite_digest(
        load_suite(str(write(tmp_path, "models:", "rubric: science-explanation\nmodels:")))
    ) != suite_digest(suite)
    (tmp_path / "q.jsonl").write_text('{"id": 1, "text": "Why not?", "level": "school"}\n')
    assert suite_digest(load_suite(str(tmp_path / "exam.yaml"))) != suite_digest(suite)


# ---------------------------------------------------------------- prompts


def prompts_file(folder: Path, *rows: dict[str, Any] | str) -> Path:
    path = folder / "p.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_a_prompt_keeps_its_own_fields_and_its_id_is_text(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "So."},
        {"role": "user", "content": "Oh?"},
    ]
    rows: list[dict[str, Any]] = [
        {"id": 7, "text": "Why?", "level": "school"},
        {"id": "b", "messages": turns, "group": "g", "reference": "r"},
    ]
    one, several = read_prompts(prompts_file(tmp_path, *rows))
    assert (one.id, one.text, one.metadata) == ("7", "Why?", {"level": "school"})
    assert several.text == "[user]\nWhy?\n\n[assistant]\nSo.\n\n[user]\nOh?"
    assert (several.group, several.reference, several.metadata) == ("g", "r", {})


def test_all_faults_of_a_prompts_file_come_at_once(tmp_path: Path) -> None:
    path = prompts_file(
        tmp_path,
        {"id": "a", "text": "Why?"},
        "",
        {"id": "a", "text": "How?"},
        {"id": "b"},
        {"id": "c", "text": "x", "messages": []},
        {"id": "d", "text": "  "},
        {"id": "e", "messages": [{"role": "assistant", "content": "x"}]},
        {"text": "x"},
        {"id": "", "text": "x"},
        {"id": "f", "messages": [{"role": "usr", "content": "x"}]},
    )
    with pytest.raises(DocumentError) as caught:
        read_prompts(path)
    assert [fault.removeprefix(f"{path}:") for fault in caught.value.faults] == [
        "3: id: 'a' already stands in line 1",
        "4: a prompt has either 'text' or 'messages'",
        "5: a prompt has either 'text' or 'messages'",
        "6: the prompt is empty",
        "7: the last of 'messages' must be the user's",
        "8: id: this key is missing",
        "9: id: string should have at least 1 character, not ''",
        "10: messages.0.role: input should be 'system', 'user' or 'assistant', not 'usr'",
    ]


def test_an_empty_prompts_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"p\.jsonl: holds no prompts"):
        read_prompts(prompts_file(tmp_path, ""))


# ---------------------------------------------------------------- files of answers alone


def test_files_of_answers_alone_make_a_suite_of_what_they_answer(tmp_path: Path) -> None:
    old, new = tmp_path / "old.jsonl", tmp_path / "new.json"
    old.write_text('{"prompt": "Why?", "text": "a"}\n{"prompt": "How?", "text": "b"}\n')
    new.write_text(json.dumps([{"instruction": "How?", "output": "c"}, {"instruction": "When?", "output": "d"}]))
    suite = suite_of_files([old, new])
    assert [prompt.text for prompt in suite.prompts] == ["Why?", "How?", "When?"]
    assert suite.contestants == ("old", "new")
    assert suite.baseline == "old"


def test_files_of_one_name_are_told_apart_by_their_folders_or_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "one" / "a.jsonl", tmp_path / "two" / "a.jsonl"
    assert list(name_files([one, two])) == ["one-a", "two-a"]
    with pytest.raises(UsageError, match="cannot be told apart by name"):
        name_files([one, tmp_path / "deep" / "one" / "a.jsonl"])


def test_without_a_name_the_only_suite_of_the_folder_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert usual_suite() == "science"
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "mine.yaml").touch()
    assert usual_suite() == "mine"
    (tmp_path / "suites" / "other.yaml").touch()
    with pytest.raises(UsageError, match=r"^there are 2 suites in \./suites; name one with --suite: mine, other$"):
        usual_suite()
    (tmp_path / "suites" / "science.yaml").touch()
    assert usual_suite() == "science"
