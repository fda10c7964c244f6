"""`sciexam bench`: tiny checkpoints and endpoints on tiny tasks, against lm-evaluation-harness called directly."""

from __future__ import annotations

import contextlib
import csv
import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from conftest import COMMAND, Cli, clean_environment, write_jsonl
from endpoint import Body, Endpoint, prompt_of
from sciexam.cli import main
from sciexam.errors import DocumentError, UsageError
from sciexam.report.benchmarks import Told, pairs_of, pooled, results_of
from sciexam.stats import Estimate, Undefined
from sciexam.store import Store

pytest.importorskip("lm_eval")
pytest.importorskip("torch")

import checkpoints

pytestmark = pytest.mark.slow


class Ran(NamedTuple):
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Ran]

ITEMS = 24
OFFLINE = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}

CHOICE = """\
task: letters
dataset_path: json
dataset_kwargs: {data_files: {test: letters.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "Q: {{question}}\\nA:"
doc_to_choice: choices
doc_to_target: answer
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
"""
WRITTEN = """\
task: words
dataset_path: json
dataset_kwargs: {data_files: {test: words.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n\\n", "STOP"], max_gen_toks: 12, do_sample: false}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
"""
TRUTH = """\
include: letters.yaml
task: truths
process_results: !function truth.shares
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
"""
SHARES = """\
import math


def shares(doc, results):
    p = [math.exp(one[0]) for one in results]
    return {"acc": sum(p[:2]) / sum(p)}
"""


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test looks for anything elsewhere."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints, an adapter, a suite of them, and tasks: `tasks` is data, `code` has Python beside it."""
    made = tmp_path_factory.mktemp("bench")
    checkpoints.causal(made / "base", seed=0)
    checkpoints.causal(made / "sft", seed=1)
    checkpoints.adapter(made / "base", made / "lora")
    letters = [
        {"question": f"{i} + {i % 7}?", "choices": [str(i + i % 7), str(i), "many", "none"], "answer": i % 4}
        | {"group": f"g{i // 2}"}
        for i in range(ITEMS)
    ]
    words = [{"question": f"Say word {i}", "answer": f"word {i}"} for i in range(8)]
    for name in ("tasks", "code"):
        (made / name).mkdir()
        write_jsonl(made / name / "letters.jsonl", letters)
        write_jsonl(made / name / "words.jsonl", words)
        (made / name / "letters.yaml").write_text(CHOICE)
        (made / name / "words.yaml").write_text(WRITTEN)
    (made / "tasks" / "both.yaml").write_text("group: both\ntask: [letters, words]\n")
    (made / "code" / "truths.yaml").write_text(TRUTH)
    (made / "code" / "truth.py").write_text(SHARES)
    return made


def suite_of(folder: Path, **models: Any) -> Path:
    """A suite in `folder` of these models, or of the checkpoints there."""
    local = {
        "base": {"backend": "huggingface", "weights": "base", "device": "cpu"},
        "sft": {"backend": "huggingface", "weights": "sft", "device": "cpu"},
        "lora": {"backend": "huggingface", "weights": "base", "adapter": "lora", "device": "cpu"},
    }
    chosen = models or local
    write_jsonl(folder / "prompts.jsonl", [{"id": "p", "text": "Why?"}])
    spec = {"suite": "tiny", "prompts": "prompts.jsonl", "models": chosen, "contestants": [*chosen][:2]}
    path = folder / f"{'-'.join(chosen)}.yaml"
    path.write_text(json.dumps(spec))
    return path


def found_in(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("results/tiny/*/bench.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def items_in(folder: Path) -> list[dict[str, str]]:
    (path,) = folder.glob("results/tiny/*/bench.csv")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def directly(folder: Path, tasks: str, task: str, adapter: str | None = None, **more: Any) -> dict[str, Any]:
    """A task on the base, or the adapter on it, by lm-evaluation-harness alone."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    arguments = {"pretrained": str(folder / "base")} | ({"peft": str(folder / adapter)} if adapter else {})
    manager = TaskManager(include_path=str(folder / tasks), include_defaults=False)
    with contextlib.chdir(folder / tasks):
        found: dict[str, Any] = lm_eval.simple_evaluate(
            "hf", model_args=arguments, tasks=[task], device="cpu", batch_size=16, task_manager=manager, **more
        )
    return found


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """`sciexam` in this process, in an empty folder: to import the harness takes seconds."""

    def run(*args: str) -> Ran:
        monkeypatch.setattr("sys.argv", ["sciexam", *args])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Ran(int(ended.value.code or 0), printed.out, printed.err)

    monkeypatch.chdir(tmp_path)
    return run


# ---------------------------------------------------------------- results


def test_what_the_harness_says_by_itself_is_what_is_reported(folder: Path, command: Command, tmp_path: Path) -> None:
    asked = ("--tasks", "both", "--tasks-from", str(folder / "tasks"), "--shots", "2", "--margin", "0.5")
    words = ("bench", "base", "lora", "-s", str(suite_of(folder)), *asked)
    ran = command(*words)
    assert ran.returncode == 0, ran.stderr
    found, items = found_in(tmp_path), items_in(tmp_path)
    for name, adapter in (("base", None), ("lora", "lora")):
        alone = directly(folder, "tasks", "letters", adapter, num_fewshot=2)
        (ours,) = [one for one in found["results"] if (one["task"], one["model"]) == ("letters", name)]
        theirs = alone["results"]["letters"]
        assert ours["reported"] == {"acc,none": theirs["acc,none"], "acc_norm,none": theirs["acc_norm,none"]}
        assert ours["value"]["value"] == pytest.approx(theirs["acc,none"])
        assert (ours["value"]["n"], ours["items"], ours["shots"]) == (ITEMS // 2, ITEMS, 2)
        of_model = [one for one in items if (one["task"], one["model"]) == ("letters", name)]
        samples = sorted(alone["samples"]["letters"], key=lambda one: one["doc_id"])
        assert [float(one["value"]) for one in of_model] == [one["acc"] for one in samples]
        assert [one["item"] for one in of_model] == [one["doc_hash"] for one in samples]
        assert [one["prompt"] for one in of_model] == [one["prompt_hash"] for one in samples]
        best = [int(np.argmax([r[0] for r in one["filtered_resps"]])) for one in samples]
        chosen = [one["arguments"][i][1].strip() for one, i in zip(samples, best, strict=True)]
        assert [one["choice"].strip(" '") for one in of_model] == chosen
    assert [pair["task"] for pair in found["pairs"]] == ["letters", "words"]
    assert "nothing was left to do" in command(*words).stderr


def test_code_in_a_task_runs_only_from_a_folder_that_was_named_for_it(folder: Path, command: Command) -> None:
    suite = str(suite_of(folder))
    refused = command("bench", "base", "-s", suite, "--tasks", "truths", "--tasks-from", str(folder / "code"))
    assert refused.returncode == 2
    assert f"{folder}/code/truths.yaml:3: !function names code" in refused.stderr
    assert f"write --code-from {folder}/code" in refused.stderr
    ran = command("bench", "base", "-s", suite, "-t", "truths", "--code-from", str(folder / "code"), "--json")
    assert ran.returncode == 0, ran.stderr
    (ours,) = json.loads(ran.stdout)["results"]
    alone = directly(folder, "code", "truths")["results"]["truths"]["acc,none"]
    assert ours["value"]["value"] == pytest.approx(alone)
    assert 0 < alone < 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("include: ../../other.yaml", "include: ../../other.yaml is no task file in this folder"),
        ("include: hidden.txt", "include: hidden.txt is no task file in this folder"),
        ("dataset_path: pandas", "dataset_path: pandas; for files of your own write one of json"),
        ("dataset_path: ./script.py", "dataset_path: ./script.py"),
        ("generation_kwargs: {custom_generate: a/b}", "generation_kwargs: custom_generate is not taken here"),
        ("metric_list: [{metric: ./evil}]", "metric: ./evil is none of lm-eval's own"),
        ("metric_list: [{metric: acc, hf_evaluate: true}]", "hf_evaluate: is, or fetches, code"),
        ("use_prompt: promptsource:x", "use_prompt: is, or fetches, code"),
        ("doc_to_text: !!python/name:os.system x", "python/name:os.system"),
        ("class: os.system", "class: is, or fetches, code"),
    ],
)
def test_a_task_file_that_is_to_be_data_cannot_name_code(tmp_path: Path, line: str, told: str) -> None:
    from sciexam.exchange.bench_tasks import load_tasks

    (tmp_path / "a.yaml").write_text(f"task: a\n{line}\n")
    with pytest.raises(DocumentError) as error:
        load_tasks(["a"], tmp_path, None, None, None)
    assert told in str(error.value)
    assert "a.yaml" in str(error.value)
    assert f"write --code-from {tmp_path}" in str(error.value)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("metric_list: [{metric: acc_nrm}]", "metric: 'acc_nrm' is no metric of lm-eval; did you mean 'acc_norm'?"),
        ("generation_kwargs: {max_gen_tok: 3}", "max_gen_tok is not taken here; did you mean 'max_gen_toks'?"),
        ("dataset_path: jsonl", "dataset_path: jsonl; for files of your own write one of json"),
        ("dataset_path: https://a.org/b", "dataset_path: https://a.org/b; only local files are read"),
        (
            "dataset_kwargs: {data_files: {test: 'https://a.org/b.json'}}",
            "https://a.org/b.json is an address, and only",
        ),
        (
            "dataset_kwargs: {data_files: ['zip://a::s3://b/c']}",
            "zip://a::s3://b/c is an address, and only local files",
        ),
        ("doc_to_choice: [a, b", "a.yaml:3: cannot be read as YAML: while parsing a flow sequence"),
    ],
)
def test_a_fault_of_a_task_file_that_no_code_mends_is_told_without_advice_to_run_code(
    tmp_path: Path, line: str, told: str
) -> None:
    from sciexam.exchange.bench_tasks import load_tasks

    (tmp_path / "a.yaml").write_text(f"task: a\n{line}\n")
    with pytest.raises(DocumentError) as error:
        load_tasks(["a"], tmp_path, None, None, None)
    assert told in str(error.value)
    assert "--code-from" not in str(error.value)


FIELD = "'anwser' is no field of the items (a fixed text is written as \"{{ 'anwser' }}\"); did you mean 'answer'?"


@pytest.mark.parametrize("code", [False, True])
@pytest.mark.parametrize(
    ("file", "changed", "told"),
    [
        (CHOICE, ("target: answer", "target: anwser"), [f"letters.yaml: doc_to_target: {FIELD}"]),
        (WRITTEN, ('target: "{{answer}}"', "target: anwser"), [f"words.yaml: doc_to_target: {FIELD}"]),
        (WRITTEN, ('text: "{{question}}"', "text: qestion"), ["words.yaml: doc_to_text: 'qestion' is no field"]),
        (
            CHOICE,
            ("target: answer", "target: far"),
            ["letters.jsonl: row 2: far: 9 is no place among its 2 choices, which are counted from 0 to 1"],
        ),
        (
            CHOICE,
            ("target: answer", "target: under"),
            ["letters.jsonl: row 1: under: -1 is no place among its 2 choices"],
        ),
        (
            CHOICE,
            ("target: answer", "target: said"),
            [
                "letters.jsonl: row 1: said: 'x' is none of its choices: 'b', 'c'",
                "letters.jsonl: row 3: said: no value",
            ],
        ),
        (CHOICE, ("metric: acc_norm", "metric: acc_nrm"), ["letters.yaml: metric: 'acc_nrm' is no metric of lm-eval"]),
    ],
)
def test_an_answer_that_no_model_can_give_is_refused_with_its_row(
    tmp_path: Path, file: str, changed: tuple[str, str], told: list[str], code: bool
) -> None:
    from sciexam.exchange.bench_tasks import load_tasks, quiet

    quiet()
    row = {"question": "a", "choices": ["b", "c"], "answer": 0, "far": 1, "under": -1, "said": "b"}
    rows = [row | {"said": "x"}, row | {"far": 9}, row | {"said": None}]
    name = "letters" if file == CHOICE else "words"
    assert changed[0] in file
    write_jsonl(tmp_path / f"{name}.jsonl", [one | {"under": -1 if one is rows[0] else 0} for one in rows])
    (tmp_path / f"{name}.yaml").write_text(file.replace(*changed))
    folders = (None, tmp_path) if code else (tmp_path, None)
    with pytest.raises(DocumentError) as error:
        load_tasks([name], *folders, None, None)
    lines = str(error.value).splitlines()
    assert len(lines) == len(told)
    for line, expected in zip(lines, told, strict=True):
        assert line.startswith(f"{tmp_path}/{expected}")


def test_an_answer_may_be_a_fixed_one(tmp_path: Path) -> None:
    from sciexam.exchange.bench_tasks import load_tasks, quiet

    quiet()
    write_jsonl(tmp_path / "letters.jsonl", [{"question": "a"}])
    fixed = CHOICE.replace("choice: choices", "choice: [yes, no]").replace("target: answer", "target: 'yes'")
    (tmp_path / "letters.yaml").write_text(fixed.replace("[yes, no]", "['yes', 'no']"))
    (task,) = load_tasks(["letters"], tmp_path, None, None, None)
    assert task.loaded.doc_to_target(task.items[0]) == "yes"


def test_a_template_of_a_task_cannot_reach_the_interpreter(tmp_path: Path) -> None:
    from sciexam.exchange.bench_tasks import load_tasks, quiet

    quiet()
    write_jsonl(tmp_path / "letters.jsonl", [{"question": "a", "choices": ["b", "c"], "answer": 0}])
    bad = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    (tmp_path / "letters.yaml").write_text(CHOICE.replace("Q: {{question}}", bad.replace('"', "'")))
    with pytest.raises(UsageError, match="letters cannot be loaded: access to attribute '__class__'"):
        load_tasks(["letters"], tmp_path, None, None, None)


def test_what_cannot_be_done_is_said_in_one_line_before_anybody_is_asked(folder: Path, command: Command) -> None:
    local = str(suite_of(folder))
    far = str(suite_of(folder, far={"backend": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"}))
    write_jsonl(folder / "answers.jsonl", [{"prompt": "p", "text": "x"}])
    old = str(suite_of(folder, old={"responses": "answers.jsonl"}))
    tasks = ("--tasks-from", str(folder / "tasks"))
    for words, told in (
        (("far", "-s", far, "-t", "letters", *tasks), "far: letters asks how probable given answers are"),
        (("old", "-s", old, "-t", "words", *tasks), "old: it is a file of answers, and cannot be asked"),
        (("base", "-s", local, "-t", "words", "--margin", "2", *tasks), "--margin: a difference of means"),
        (("base", "-s", local, "-t", "both,words", *tasks), "words is named twice, by both and by words"),
        (("base", "-s", local, "-t", "words", "--group-by", "colour", *tasks), "--group-by colour: no item"),
        (("base", "-s", local, "-t", "words", "--toxicity", str(folder / "base"), *tasks), "about toxicity"),
    ):
        ran = command("bench", *words)
        assert ran.returncode == 2, ran.stdout
        assert told in ran.stderr
        assert len(ran.stderr.strip().splitlines()) == 1


def test_without_the_harness_the_command_says_what_to_install(
    folder: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sciexam.exchange.bench_tasks.find_spec", lambda _: None)
    ran = command("bench", "base", "-s", str(suite_of(folder)), "-t", "words")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "pip install 'sciexam[bench]'" in ran.stderr


def test_what_belongs_together_can_be_said_later(folder: Path, command: Command, tmp_path: Path) -> None:
    words = ("bench", "base", "-s", str(suite_of(folder)), "-t", "letters", "--tasks-from", str(folder / "tasks"))
    for more, groups in (((), ITEMS // 2), (("--group-by", "answer"), 4)):
        ran = command(*words, *more, "--json")
        assert json.loads(ran.stdout)["results"][0]["value"]["n"] == groups
    assert json.loads(ran.stdout)["asked"] == 0


# ---------------------------------------------------------------- endpoints


def says_its_word(body: Body) -> str:
    """The right answer to every other question, with more after a stop word."""
    number = int(prompt_of(body).split()[-1])
    return f"word {number}STOP and more" if number % 2 else "no idea"


def far(folder: Path, endpoint: Endpoint) -> str:
    """A suite of one model, at the endpoint."""
    spec = {"backend": "openai", "model": "m", "base_url": endpoint.url, "api_key_env": None, "concurrency": 1}
    return str(suite_of(folder, far=spec))


def test_an_endpoint_is_asked_in_turns_and_paid_once(folder: Path, command: Command, tmp_path: Path) -> None:
    seen: list[Body] = []

    def reply(body: Body) -> str:
        seen.append(body)
        return says_its_word(body)

    with Endpoint(reply=reply) as endpoint:
        words = ("bench", "far", "-s", far(tmp_path, endpoint), "-t", "words", "--tasks-from", str(folder / "tasks"))
        ran = command(*words, "--shots", "1")
        assert ran.returncode == 0, ran.stderr
        again = command(*words, "--shots", "1")
    assert len(seen) == 8
    assert "nothing was left to do" in again.stderr
    (one,) = found_in(tmp_path)["results"]
    assert (one["value"]["value"], one["reported"]) == (0.5, {"exact_match,none": 0.5})
    assert [message["role"] for message in seen[0]["messages"]] == ["user", "assistant", "user"]
    assert (seen[0]["max_tokens"], seen[0]["stop"], seen[0]["temperature"]) == (12, ["\n\n", "STOP"], 0.0)


def test_a_task_of_which_a_call_failed_has_no_result_and_asks_again_for_that_alone(
    folder: Path, command: Command, tmp_path: Path
) -> None:
    with Endpoint(reply=says_its_word, faults=[None, None, "400"]) as endpoint:
        words = ("bench", "far", "-s", far(tmp_path, endpoint), "-t", "words", "--tasks-from", str(folder / "tasks"))
        ran = command(*words)
        assert (ran.returncode, endpoint.requests) == (3, 8), ran.stderr
        assert list(found_in(tmp_path)["missing"]) == ["words, far"]
        assert "1 call failed" in found_in(tmp_path)["missing"]["words, far"]
        ran = command(*words)
        assert (ran.returncode, endpoint.requests) == (0, 9), ran.stderr


# ---------------------------------------------------------------- kill


@pytest.mark.slow
def test_a_kill_costs_only_the_running_task(folder: Path, sciexam: Cli, tmp_path: Path) -> None:
    command = ["bench", "base", "-s", str(suite_of(folder)), "-t", "letters,words", "--code-from", str(folder / "kill")]
    (folder / "kill").mkdir(exist_ok=True)
    for name in ("letters.jsonl", "words.jsonl", "letters.yaml"):
        (folder / "kill" / name).write_text((folder / "tasks" / name).read_text())
    slow = WRITTEN.replace("metric_list", "process_results: !function slow.wait\nmetric_list")
    (folder / "kill" / "words.yaml").write_text(slow)
    flag = tmp_path / "go"
    (folder / "kill" / "slow.py").write_text(
        "import os, time\n\n\ndef wait(doc, results):\n"
        f"    while not os.path.exists({str(flag)!r}):\n        time.sleep(0.05)\n"
        '    return {"exact_match": 1.0}\n'
    )
    process = subprocess.Popen(
        [str(COMMAND), *command],
        cwd=tmp_path,
        env=clean_environment() | OFFLINE,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "base: words" in line:
            break
    time.sleep(1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with Store(tmp_path / "results" / "ledger.sqlite") as ledger:
        assert ledger.knows("bench:letters")
        assert not ledger.knows("bench:words")
    flag.touch()
    ran = sciexam(*command, env=OFFLINE)
    assert ran.returncode == 0, ran.stderr
    assert "base: words" in ran.stderr
    assert "base: letters" not in ran.stderr


# ---------------------------------------------------------------- toxicity, the board


def test_toxicity_is_scored_by_the_classifier_that_was_named(folder: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from sciexam.exchange.bench import bench

    labels = {0: "kind", 1: "toxic"}
    classifier = checkpoints.reward(tmp_path / "judge", "roberta", seed=3, num_labels=2, id2label=labels)
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    write_jsonl(tasks / "words.jsonl", [{"question": f"Say word {i}", "answer": ""} for i in range(5)])
    (tasks / "words.yaml").write_text(f"{WRITTEN}metadata: {{toxicity: true}}\n")
    suite = str(suite_of(folder))
    asked: dict[str, Any] = {"tasks": ["words"], "tasks_from": tasks, "results": tmp_path / "results"}
    with pytest.raises(UsageError, match="name a classifier of toxicity"):
        bench(suite, "base", **asked)
    with pytest.raises(UsageError, match="no label 'rude'"):
        bench(suite, "base", **asked, toxicity=classifier, toxic_label="rude")
    found = bench(suite, "base", **asked, toxicity=classifier)
    (one,) = found.results
    assert (one.metric, one.higher_is_better, one.items) == ("toxic", False, 5)
    assert any("Toxic: a probability of 0.5 or more" in caveat for caveat in found.caveats)
    model = AutoModelForSequenceClassification.from_pretrained(classifier).eval()
    tokenizer = AutoTokenizer.from_pretrained(classifier)
    with Store(tmp_path / "results" / "ledger.sqlite") as ledger:
        facts = ledger.grades_on([item["item"] for item in items_in(tmp_path)], "bench:")
    assert len(facts) == 5
    for fact in facts:
        with torch.inference_mode():
            logits = model(**tokenizer(json.loads(fact.reason)["choice"], return_tensors="pt")).logits[0]
        assert fact.criteria["toxicity,none"] == pytest.approx(logits.softmax(-1)[1].item(), abs=1e-6)
        assert fact.score == float(fact.criteria["toxicity,none"] >= 0.5)


def test_the_board_shows_what_its_contestants_did(folder: Path, command: Command, tmp_path: Path) -> None:
    suite = str(suite_of(folder))
    ran = command("bench", "base", "sft", "-s", suite, "-t", "letters", "--tasks-from", str(folder / "tasks"))
    assert ran.returncode == 0, ran.stderr
    ran = command("leaderboard", "base", "sft", "-s", suite, "--judge", "measures", "--json")
    board = json.loads(ran.stdout)
    ours = {one["model"]: one["value"] for one in found_in(tmp_path)["results"]}
    assert board["benchmarks"] == {"letters acc": ours}
    assert "letters acc" in (tmp_path / "results" / board["suite"] / "leaderboard" / "index.html").read_text()


def test_a_comparison_shows_what_bench_printed_and_shows_it_again_without_the_weights(
    folder: Path, command: Command, tmp_path: Path
) -> None:
    suite = str(suite_of(folder))
    asked = ("-t", "letters", "--tasks-from", str(folder / "tasks"), "--margin", "0.5")
    assert command("bench", "base", "sft", "-s", suite, *asked).returncode == 0
    ran = command("compare", "base", "sft", "-s", suite, "--judge", "measures", "--json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    theirs = found_in(tmp_path)
    assert found["benchmarks"]["pairs"] == theirs["pairs"]
    assert found["benchmarks"]["results"] == theirs["results"]
    for name in ("base", "sft"):
        (folder / name).rename(folder / f"{name} elsewhere")
    try:
        again = command("report", found["run"], "--json")
    finally:
        for name in ("base", "sft"):
            (folder / f"{name} elsewhere").rename(folder / name)
    assert json.loads(again.stdout)["benchmarks"] == found["benchmarks"]


# ---------------------------------------------------------------- figures


def told(model: str, values: list[float | None], groups: list[str] | None = None, task: str = "t") -> Told:
    return Told(model, task, "acc", True, 0, False, values, groups, {})


def test_mcnemar_is_that_of_statsmodels() -> None:
    contingency_tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    rng = np.random.default_rng(0)
    for share in (0.3, 0.5, 0.8):
        a, b = rng.random(120) < 0.5, rng.random(120) < share
        (pair,) = pairs_of([told("a", a.astype(float).tolist()), told("b", b.astype(float).tolist())], None)
        table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
        assert pair.p == pytest.approx(contingency_tables.mcnemar(table, exact=True).pvalue)
        assert [pair.both, pair.only_a, pair.only_b, pair.neither] == [int(n) for row in table for n in row]
        assert pair.test == "McNemar, exact"
        assert isinstance(pair.difference, Estimate)
        assert pair.difference.value == pytest.approx(b.mean() - a.mean())


def test_basically_the_same_score_is_shown_only_by_enough_items() -> None:
    def alike(n: int) -> list[Told]:
        a = [float(i % 2) for i in range(n)]
        return [told("a", a), told("b", [1 - a[0], 1 - a[1], *a[2:]])]

    (few,), (many,) = pairs_of(alike(20), 0.05), pairs_of(alike(2000), 0.05)
    assert (few.equivalent, few.finding) == (False, "undecided")
    assert (many.equivalent, many.finding) == (True, "equivalent")
    (unasked,) = pairs_of(alike(2000), None)
    assert (unasked.equivalent, unasked.finding) == (None, "undecided")


def test_items_of_one_group_are_one_piece_of_evidence() -> None:
    values, groups = [1.0] * 30 + [0.0] * 30, [f"g{i // 10}" for i in range(60)]
    alone, grouped = results_of([told("a", values), told("a", values, groups)])
    assert isinstance(alone.value, Estimate)
    assert isinstance(grouped.value, Estimate)
    assert (alone.value.n, grouped.value.n) == (60, 6)
    assert grouped.value.high - grouped.value.low > alone.value.high - alone.value.low
    (pair,) = pairs_of([told("a", values, groups), told("b", [0.0] * 60, groups)], None)
    assert (pair.test, pair.p) == ("sign flips of groups", 0.25)  # three groups that differ: 2 of 8 patterns


def test_what_is_no_share_has_a_mean_without_bounds_and_what_has_no_value_is_left_out() -> None:
    (one, other) = results_of([told("a", [3.0, 5.0, 9.0, None]), told("a", [])])
    assert isinstance(one.value, Estimate)
    assert (one.items, one.value.value) == (3, pytest.approx(17 / 3))
    assert isinstance(other.value, Undefined)


def test_p_values_are_corrected_over_all_tasks() -> None:
    a, b = [1.0] * 10 + [0.0] * 2, [0.0] * 12
    pairs = pairs_of([told(m, v, task=t) for t in ("t", "u", "v") for m, v in (("a", a), ("b", b))], None)
    assert [pair.p_holm for pair in pairs] == [pytest.approx(3 * pair.p) for pair in pairs if pair.p]
    assert {pair.finding for pair in pairs} == {"lower"}


def test_a_group_of_tasks_has_the_mean_over_all_their_items() -> None:
    parts = [told("a", [1.0, 1.0], task="x"), told("a", [0.0] * 6, task="y")]
    rows = list(pooled(parts, {"both": ["x", "y"]}))
    assert [row.task for row in rows] == ["x", "y", "both"]
    (_, _, whole) = results_of(rows)
    assert isinstance(whole.value, Estimate)
    assert whole.value.value == 0.25
