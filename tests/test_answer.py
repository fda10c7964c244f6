"""`sciexam answer`: many answers of one model, resumable, shared with comparisons, in a file that a suite takes."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import COMMAND, Cli, answers, clean_environment, write_jsonl, write_suite
from endpoint import Body, Endpoint, prompt_of
from sciexam.errors import UsageError
from sciexam.models.recorded import read_responses
from sciexam.store.writer import UNCOMMITTED_REPLIES
from test_floors import loaded_by

FAKE = {"backend": "scripted", "rules": [{"when": "thing (\\d+)", "say": "Because of \\1."}]}


def endpoint_model(url: str, **more: Any) -> dict[str, Any]:
    return {"backend": "openai", "model": "m-1", "base_url": url, "api_key_env": None} | more


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def write(folder: Path, suite: Path | None, model: str = "fake", **more: Any) -> Any:
    """`sx.answer` into folder/out.jsonl, with a ledger in the folder."""
    given = {"out": folder / "out.jsonl", "results": folder / "results"} | more
    return sx.answer(None if suite is None else str(suite), model, **given)


# ---------------------------------------------------------------- the file


def test_answers_stand_in_the_order_of_the_prompts_in_a_file_that_a_suite_takes(sciexam: Cli, tmp_path: Path) -> None:
    suite = write_suite(tmp_path, 5, {"fake": FAKE})
    done = sciexam("answer", "fake", "--suite", str(suite), "--samples", "2", "--out", "made/out.jsonl")
    assert done.returncode == 0, done.stderr
    made = tmp_path / "made" / "out.jsonl"
    assert done.stdout.splitlines() == [
        f"fake: 10 of 10 answers (5 prompts and 2 samples) in {made}",
        "Calls: no model was called",
    ]
    slots = [(f"q{i}", sample) for i in range(5) for sample in (0, 1)]
    assert [(line["prompt"], line["sample"]) for line in lines(made)] == slots
    assert lines(made)[2] == {
        "prompt": "q1",
        "sample": 0,
        "instruction": "Why does thing 1 happen?",
        "text": "Because of 1.",
        "finish_reason": "stop",
        "model": "scripted",
    }
    assert list(read_responses(made)) == slots


def test_prompts_of_a_file_are_answered_in_the_place_of_those_of_the_suite(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, 2, {"fake": FAKE})
    other = write_jsonl(tmp_path / "other.jsonl", [{"id": f"o{i}", "text": f"And thing {i}?"} for i in (9, 7, 8)])
    found = write(tmp_path, suite, prompts=other, limit=2)
    assert (found.planned, found.written, found.missing) == (2, 2, {})
    assert [(line["prompt"], line["text"]) for line in lines(tmp_path / "out.jsonl")] == [
        ("o9", "Because of 9."),
        ("o7", "Because of 7."),
    ]


def test_half_a_character_is_kept_in_a_file_that_is_valid_utf_8(tmp_path: Path) -> None:
    said = ["Half \ud83d of it", "Wörter 🙂\u2028und mehr"]

    def reply(body: Body) -> str:
        return said["thing 1" in prompt_of(body)]

    with Endpoint(reply=reply) as endpoint:
        suite = write_suite(tmp_path, 2, {"llm": endpoint_model(endpoint.url)})
        write(tmp_path, suite, "llm")
    raw = (tmp_path / "out.jsonl").read_bytes()
    assert "Wörter 🙂" in raw.decode("utf-8")
    assert [line.text for line in read_responses(tmp_path / "out.jsonl").values()] == said


def test_alpacaevals_list_is_one_that_a_suite_takes(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, 4, {"fake": FAKE})
    write(tmp_path, suite, out=tmp_path / "one.json", format="alpacaeval")
    assert json.loads((tmp_path / "one.json").read_text())[3] == {
        "instruction": "Why does thing 3 happen?",
        "output": "Because of 3.",
        "generator": "fake",
    }
    read = read_responses(tmp_path / "one.json")
    assert [line.text for line in read.values()] == [f"Because of {i}." for i in range(4)]
    twice = write_jsonl(tmp_path / "twice.jsonl", [{"id": name, "text": "thing 1"} for name in "abc"])
    found = write(tmp_path, suite, prompts=twice, out=tmp_path / "two.json", format="alpacaeval")
    assert (found.written, found.planned, len(json.loads((tmp_path / "two.json").read_text()))) == (1, 1, 1)


def test_an_alpacaeval_list_has_no_room_for_samples_and_conversations(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, 2, {"fake": FAKE})
    with pytest.raises(UsageError, match=r"^--format alpacaeval: its list has one output an instruction; add --samp"):
        write(tmp_path, suite, format="alpacaeval", samples=2)
    turns = [{"role": role, "content": "thing 1"} for role in ("user", "assistant", "user")]
    talk = write_jsonl(tmp_path / "talk.jsonl", [{"id": "t", "messages": turns}])
    with pytest.raises(UsageError, match=r"prompt 't' is a conversation of 3 messages; leave --format out$"):
        write(tmp_path, suite, prompts=talk, format="alpacaeval")


def test_nothing_that_is_no_file_of_answers_is_replaced(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, 2, {"fake": FAKE})
    before = {path: path.read_bytes() for path in (suite, tmp_path / "prompts.jsonl")}
    for path in before:
        with pytest.raises(UsageError, match="holds something else than answers, and would be replaced; name another"):
            write(tmp_path, suite, out=path)
    assert {path: path.read_bytes() for path in before} == before
    with pytest.raises(UsageError, match=f"^--out: {tmp_path} is no file$"):
        write(tmp_path, suite, out=tmp_path)
    with pytest.raises(UsageError, match=r"^--out: .*prompts\.jsonl/o\.jsonl cannot be written: "):
        write(tmp_path, suite, out=tmp_path / "prompts.jsonl" / "o.jsonl")
    write(tmp_path, suite)
    with pytest.raises(UsageError, match=r"ledger\.sqlite is the ledger; name another file$"):
        write(tmp_path, suite, out=tmp_path / "results" / "ledger.sqlite")
    write(tmp_path, suite)  # what it wrote itself is replaced


# ---------------------------------------------------------------- what is missing


def test_only_usable_answers_are_written_and_the_others_are_counted_by_reason(sciexam: Cli, tmp_path: Path) -> None:
    with Endpoint(faults=["empty", "400", "length", *[None] * 20]) as endpoint:
        suite = write_suite(tmp_path, 5, {"llm": endpoint_model(endpoint.url, concurrency=1)})
        done = sciexam("answer", "llm", "--suite", str(suite), "--out", "out.jsonl")
        assert done.returncode == 3, done.stderr
        told = done.stdout.splitlines()
        assert told[0] == f"llm: 3 of 5 answers (5 prompts) in {tmp_path}/out.jsonl"
        assert told[1] == "Cut off by the limit of tokens: 1 of them; raise max_tokens in the suite."
        assert sorted(told[2:4])[1] == "Missing: 1 invalid: empty"
        assert sorted(told[2:4])[0].startswith("Missing: 1 failed: ")
        assert done.stderr.splitlines()[0].startswith("sciexam: at most 5 calls for answers, besides retries; about ")
        assert "not everything has a result; the same command asks again for it" in done.stderr
        assert len(lines(tmp_path / "out.jsonl")) == 3
        again = write(tmp_path, suite, "llm")
        assert (again.calls.made, again.calls.reused, again.written) == (1, 4, 4)
        assert again.missing == {"invalid: empty": 1}
        assert write(tmp_path, suite, "llm", retry_invalid=True).written == 5
    assert [line["prompt"] for line in lines(tmp_path / "out.jsonl")] == [f"q{i}" for i in range(5)]


def test_where_nothing_is_usable_an_older_file_is_left_alone(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, 3, {"fake": FAKE, "mute": {"backend": "scripted", "rules": []}})
    write(tmp_path, suite)
    before = (tmp_path / "out.jsonl").read_bytes()
    found = write(tmp_path, suite, "mute")
    assert (found.written, found.missing, found.failed) == (0, {"failed: no rule matches": 3}, True)
    assert (tmp_path / "out.jsonl").read_bytes() == before


def test_a_budget_that_is_reached_leaves_what_was_paid_for(tmp_path: Path) -> None:
    asked = {"generation": {"max_tokens": 10}, "concurrency": 2}
    with Endpoint() as endpoint:
        models = {"llm": endpoint_model(endpoint.url, **asked)}
        suite = write_suite(tmp_path, 40, models, prices={"m-1": {"input": 1000, "output": 1000}})
        found = write(tmp_path, suite, "llm", budget=0.5)
    assert found.unasked.startswith("The budget of 0.50 USD is reached: at most ")
    assert 0 < len(lines(tmp_path / "out.jsonl")) == found.written == endpoint.requests < 40
    assert found.missing == {"skipped: not asked yet": 40 - found.written}


def test_a_file_of_answers_that_lacks_some_says_so(sciexam: Cli, tmp_path: Path) -> None:
    suite = write_suite(tmp_path, 3, {"old": {"responses": answers(tmp_path, "old", ["Because.", "So."])}})
    done = sciexam("answer", "old", "--suite", str(suite), "--out", "out.jsonl", "--json")
    assert done.returncode == 3
    assert "sciexam: old is a file of answers, and has none to 1 of the prompts" in done.stderr
    found = json.loads(done.stdout)
    assert (found["planned"], found["written"]) == (3, 2)
    assert found["missing"] == {"skipped: no recorded answer": 1}


# ---------------------------------------------------------------- the ledger


def test_what_is_answered_here_is_not_asked_again_by_compare_nor_the_other_way_round(tmp_path: Path) -> None:
    with Endpoint() as endpoint:
        old = {"responses": answers(tmp_path, "old", [f"Because of {i}." for i in range(8)])}
        suite = write_suite(tmp_path, 8, {"llm": endpoint_model(endpoint.url), "old": old})
        own = write_jsonl(tmp_path / "own.jsonl", [{"id": "mine", "text": "Why does thing 3 happen?"}])
        assert write(tmp_path, suite, "llm", prompts=own).calls.made == 1, "a prompt is what it asks, not its id"
        report = sx.compare(str(suite), "old", "llm", results=tmp_path / "results")
        assert (report.pairs[0].used, endpoint.requests) == (8, 8)
        found = write(tmp_path, suite, "llm")
        assert (found.calls.made, found.calls.reused, found.written) == (0, 8, 8)
        assert endpoint.requests == 8


def start(folder: Path, suite: Path) -> subprocess.Popen[str]:
    command = [str(COMMAND), "answer", "llm", "--suite", str(suite), "--out", "out.jsonl"]
    return subprocess.Popen(
        command, cwd=folder, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_killed_and_interrupted_it_goes_on_and_pays_only_for_what_was_in_flight(tmp_path: Path) -> None:
    with Endpoint(latency=0.05) as endpoint:
        suite = write_suite(tmp_path, 60, {"llm": endpoint_model(endpoint.url, concurrency=4)})
        for number, target in ((signal.SIGKILL, 12), (signal.SIGINT, 30)):
            child = start(tmp_path, suite)
            while endpoint.requests < target and child.poll() is None:
                time.sleep(0.01)
            child.send_signal(number)
            _, err = child.communicate()
            assert not (tmp_path / "out.jsonl").exists()
        assert child.returncode == 130
        assert "/60 answers; run the same command to go on" in err
        out, err = (child := start(tmp_path, suite)).communicate()
        assert child.returncode == 0, err
        assert out.startswith(f"llm: 60 of 60 answers (60 prompts) in {tmp_path}/out.jsonl\n")
        assert endpoint.requests <= 60 + 4 + UNCOMMITTED_REPLIES
    assert [line["prompt"] for line in lines(tmp_path / "out.jsonl")] == [f"q{i}" for i in range(60)]


def test_the_progress_counts_what_was_there_before(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, 6, {"fake": FAKE})
    seen: list[tuple[int, int]] = []
    write(tmp_path, suite, limit=4)
    write(tmp_path, suite, progress=lambda p: seen.append((p.responses, p.responses_planned)))
    assert seen[-1] == (6, 6)
    assert seen[0][0] > 4


# ---------------------------------------------------------------- who is asked


def test_a_model_is_named_by_its_suite_its_endpoint_or_its_folder(tmp_path: Path, monkeypatch: Any) -> None:
    suite = write_suite(tmp_path, 3, {"fake": FAKE})
    with pytest.raises(UsageError) as caught:
        write(tmp_path, suite, "fakr")
    assert str(caught.value) == (
        "'fakr' is no model of suite 'exam', and neither openai:MODEL nor a folder of weights; did you mean 'fake'?"
    )
    with pytest.raises(UsageError, match="openai:MODEL: put a model's name in the place of MODEL"):
        write(tmp_path, suite, "openai:MODEL")
    with Endpoint() as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test-12345678")
        found = write(tmp_path, None, "openai:gpt-x", prompts=tmp_path / "prompts.jsonl")
        assert (found.model, found.written, endpoint.requests) == ("openai:gpt-x", 3, 3)
        assert endpoint.received[0]["model"] == "gpt-x"


def test_a_folder_of_weights_answers_without_a_suite(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from checkpoints import adapter, causal

    folder = causal(tmp_path / "tiny", max_position_embeddings=48)
    prompts = write_jsonl(tmp_path / "p.jsonl", [{"id": f"p{i}", "text": f"Why {i}?"} for i in range(3)])
    suite = write_suite(tmp_path, 1, {"tiny": {"weights": "tiny", "generation": {"max_tokens": 6}}})
    found = write(tmp_path, suite, "tiny", prompts=prompts)
    assert (found.model, found.written, found.calls.made, found.calls.usd) == ("tiny", 3, 3, 0.0)
    assert all(line["output_tokens"] <= 6 for line in lines(tmp_path / "out.jsonl"))
    bare = write(tmp_path, None, str(folder), prompts=prompts, limit=1)
    assert (bare.model, bare.written) == ("tiny", 1)
    with pytest.raises(UsageError, match=r"^'tiny' is a model of the suite and the name of a folder; rename the fol"):
        write(tmp_path, suite, str(folder))
    tuned = write(tmp_path, None, str(adapter(folder, tmp_path / "lora")), prompts=prompts, limit=1)
    assert (tuned.model, tuned.calls.made) == ("lora", 1)


def test_its_help_loads_nothing_heavy() -> None:
    run = "from sciexam.cli import command_line\ntry:\n    command_line()(['answer', '--help'])"
    assert loaded_by(f"{run}\nexcept SystemExit:\n    pass\nprint()") == set()
