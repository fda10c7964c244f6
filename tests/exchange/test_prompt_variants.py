"""`sciexam data prompts`: more prompts of the kind of those in a file, each once, and none of the exam's."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from teaching import lines, prompts_at, suite_at, word_of

from conftest import COMMAND, Cli, clean_environment, write_jsonl
from endpoint import Body, Endpoint, prompt_of
from sciexam.errors import UsageError
from sciexam.exchange.asking_a_model import Errand
from sciexam.folders import replace_folder
from sciexam.prompts import read_prompts
from sciexam.store.writer import UNCOMMITTED_REPLIES

pytest.importorskip("datasketch")

from sciexam.exchange.prompt_variants import Varied, Wanted, vary

BIRDS = "robin wren heron swift stork crane finch eagle raven gull owl tern dove lark kite rook".split()  # noqa: SIM905


class Writes:
    """One prompt after the other, of a list or about birds; by the request's seed, so that a retry gets the same."""

    def __init__(self, texts: list[str] | None = None):
        self._texts = texts
        self._seen: list[int] = []

    def __call__(self, body: Body) -> str:
        if body["seed"] not in self._seen:
            self._seen.append(body["seed"])
        place = self._seen.index(body["seed"])
        nonce = word_of(body, "PROMPT")
        if self._texts is not None:
            return self._texts[place].replace("{n}", str(nonce))
        bird, other = BIRDS[place % 16], BIRDS[(place // 16 + place + 1) % 16]
        return f"PROMPT {nonce}\nWhat does the {bird} eat where the {other} sleeps in winter?"


def varied(folder: Path, suite: Path, source: Path, n: int, out: str = "new", **more: Any) -> Varied:
    wanted = Wanted(n, **{"shots": 4} | more)
    return vary("llm", source, folder / out, wanted, suite=str(suite), errand=Errand(results=folder / "results"))


def test_new_prompts_say_which_ones_they_were_made_after(sciexam: Cli, tmp_path: Path) -> None:
    with Endpoint(Writes()) as endpoint:
        suite = suite_at(tmp_path, endpoint)
        source = prompts_at(tmp_path, 12)
        write_jsonl(source, [row | {"licence": "CC BY-SA 4.0"} for row in lines(source)])
        done = sciexam(
            *("data", "prompts", "--from", "train.jsonl", "--shots", "8", "--model", "llm", "-s", str(suite)),
            *("--n", "6", "--out", "new"),
        )
        assert done.returncode == 0, done.stderr
        assert "sciexam: at most 6 calls for answers, besides retries; about " in done.stderr
        asked = endpoint.received[0]
        assert (asked["temperature"], asked["top_p"]) == (0.6, 0.9)
        assert len(set(re.findall(r"bees of kind \d+", prompt_of(asked)))) == 8
    assert done.stdout.splitlines()[:4] == [
        "Wanted: 6 prompts of llm, which is shown 8 of 12 at a time",
        "Kept: 6 prompts",
        "new:",
        "          6 train_prompts.jsonl: the new prompts; `--prompts` of `sciexam data answers`, "
        "`prompts:` with `stage: ppo`",
    ]
    rows = lines(tmp_path / "new" / "train_prompts.jsonl")
    assert len(read_prompts(tmp_path / "new" / "train_prompts.jsonl")) == 6, "a file of prompts"
    assert {len(set(row["shots"])) for row in rows} == {8}
    assert len({tuple(row["shots"]) for row in rows}) == 6
    assert rows[0]["shown"][0] == {"shot": rows[0]["shots"][0], "licence": "CC BY-SA 4.0"}
    assert (rows[0]["written_by"], rows[0]["model"], len(rows[0]["key"])) == ("llm", "m-1", 64)
    provenance = json.loads((tmp_path / "new" / "provenance.json").read_text())
    assert (provenance["source"]["file"], provenance["settings"]["shots"]) == ("train.jsonl", 8)


BAD = {
    "What should one eat?": "no PROMPT line",
    "PROMPT {n}\n\n": "nothing below the PROMPT line",
    "PROMPT {n}\nOne?\nPROMPT {n}\nTwo?": "two PROMPT lines",
    "PROMPT {n}\n1. Why is this one here?\n2. Why that?": "begins like a list, or has a heading",
    "PROMPT {n}\nNew prompt: why is this one here?": "begins like a list, or has a heading",
    "PROMPT {n}\nWhy?": "too short to ask anything",
    "PROMPT {n}\nWhy " + "so long " * 200: "longer than 150 words",
    "PROMPT {n}\nWhy is \udc00 half?": "half a character, which no tokenizer takes",
    "PROMPT {n}\nTell me, why does thing 1 happen?": "holds a prompt of the suite",
    "PROMPT {n}\nHow do bees of kind 3 find their way home": "says nearly the same as a prompt of the file",
    "PROMPT {n}\nSo how do bees of kind 3 find their way home?": "says nearly the same as a prompt of the file",
    "PROMPT {n}\nWhat may a wren that lives by the sea eat in winter?": "",
    "PROMPT {n}\nWhat may a wren that lives by the sea EAT in winter!": "says nearly the same as an earlier one",
    "PROMPT {n}\n<script>x</script> {{ 7*7 }} {% x %} says what?": "",
}


def test_a_reply_that_is_not_one_new_prompt_is_left_out_with_its_reason(tmp_path: Path) -> None:
    with Endpoint(Writes(list(BAD))) as endpoint:
        suite = suite_at(tmp_path, endpoint, model={"concurrency": 1})
        found = varied(tmp_path, suite, prompts_at(tmp_path, 5), len(BAD))
    assert sorted(row["text"] for row in lines(tmp_path / "new" / "train_prompts.jsonl")) == sorted(
        text.removeprefix("PROMPT {n}\n") for text, why in BAD.items() if not why
    )
    reasons = [why for why in BAD.values() if why]
    assert found.rejected == {why: reasons.count(why) for why in reasons}
    assert sorted(one["reason"] for one in lines(tmp_path / "new" / "rejected.jsonl")) == sorted(reasons)


def test_a_prompt_that_says_nearly_what_the_exam_says_is_left_out(tmp_path: Path) -> None:
    asked = "Why does the sky look blue at noon and red in the evening when the sun is low over the sea?"
    near = f"PROMPT {{n}}\n{asked.replace('when the', 'while the').replace('Why', 'Explain why')}"
    with Endpoint(Writes([near, near.replace("sea", "sea") + " "])) as endpoint:
        suite = suite_at(tmp_path, endpoint)
        write_jsonl(tmp_path / "prompts.jsonl", [{"id": "sky", "text": asked}])
        found = varied(tmp_path, suite, prompts_at(tmp_path, 5), 2)
    assert found.rejected == {"says nearly the same as a prompt of the suite": 2}
    assert sorted(path.name for path in (tmp_path / "new").glob("[!.]*")) == ["provenance.json", "rejected.jsonl"]


def test_the_exams_prompts_and_conversations_are_never_shown(tmp_path: Path) -> None:
    rows = [
        {"id": "exam", "text": "Why does thing 1 happen?"},
        {"id": "near", "text": "Say why the sky looks blue at noon and red at night when the sun is low?"},
        {"id": "talk", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]},
        *({"id": f"{i}", "text": f"What is the colour of {bird} eggs?"} for i, bird in enumerate(BIRDS[:4])),
        {"id": "twice", "text": "What is the colour of robin eggs?"},
    ]
    source = write_jsonl(tmp_path / "mixed.jsonl", rows)
    with Endpoint(Writes()) as endpoint:
        suite = suite_at(tmp_path, endpoint)
        sky = "So say why the sky looks blue at noon and red at night when the sun is low?"
        write_jsonl(tmp_path / "prompts.jsonl", [*lines(tmp_path / "prompts.jsonl"), {"id": "sky", "text": sky}])
        found = varied(tmp_path, suite, source, 3)
        assert not any("thing 1" in prompt_of(body) or "sky" in prompt_of(body) for body in endpoint.received)
        with pytest.raises(UsageError) as caught:
            varied(tmp_path, suite, source, 3, shots=8)
    assert found.shots == 4
    left_out = (
        "1 holding a prompt of the suite; 1 saying nearly the same as a prompt of the suite; 1 of several messages; "
        "1 the same as an earlier one"
    )
    assert str(caught.value) == (
        f"{source}: 8 prompts are shown at a time, and 4 of 8 can be shown; {left_out}; give more, or lower --shots"
    )


def test_more_prompts_ask_for_the_additional_ones_and_two_ledgers_give_one_file(tmp_path: Path) -> None:
    def by_shots(body: Body) -> str:
        first, second = re.findall(r"bees of kind (\d+)", prompt_of(body))[:2]
        return f"PROMPT {word_of(body, 'PROMPT')}\nWhat do {BIRDS[int(first)]}s and {BIRDS[int(second)]}s share?"

    with Endpoint(by_shots) as endpoint:
        suite, source = suite_at(tmp_path, endpoint), prompts_at(tmp_path, 12)
        varied(tmp_path, suite, source, 4, seed=3)
        assert endpoint.requests == 4
        varied(tmp_path, suite, source, 9, seed=3)
        assert endpoint.requests == 9
        before = {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()}
        (other := tmp_path / "other").mkdir()
        vary("llm", source, other / "new", Wanted(9, 4, seed=3), suite=str(suite), errand=Errand(results=other))
        assert {path.name: path.read_bytes() for path in (other / "new").iterdir()} == before
        varied(tmp_path, suite, source, 9, seed=4)
    assert (tmp_path / "new" / "train_prompts.jsonl").read_bytes() != before["train_prompts.jsonl"]


def test_no_file_of_somebody_else_is_replaced(tmp_path: Path) -> None:
    with Endpoint(Writes()) as endpoint:
        suite, source = suite_at(tmp_path, endpoint), prompts_at(tmp_path, 5)
        with pytest.raises(UsageError, match=r"^--out: new\.jsonl is to be a folder, with .* in it: --out new$"):
            vary("llm", source, Path("new.jsonl"), Wanted(1, 4), suite=str(suite), errand=Errand())
        with pytest.raises(UsageError, match=r"^.*train\.jsonl lies in --out .*, which is replaced as a whole; name"):
            varied(tmp_path, suite, source, 1, out=".")
        with pytest.raises(UsageError, match=r"marks\.yaml is a file, and a folder is to be written there; name"):
            varied(tmp_path, suite, source, 1, out="marks.yaml")
        taught = tmp_path / "taught"
        replace_folder(taught, [("provenance.json", json.dumps({"schema": "sciexam/data-answers/1"}))])
        with pytest.raises(UsageError, match=r"taught holds training data that `sciexam data answers` wrote, and"):
            varied(tmp_path, suite, source, 1, out="taught")
        assert endpoint.requests == 0


def killed_at(step: int, folder: Path, write: Callable[[], object]) -> bool:
    """Run `write` in a fork that is killed before its operation number `step` on the folder; whether it got there."""

    places = (str(folder), str(folder.with_name(f".{folder.name}.")))

    def in_the_fork() -> None:
        left = iter(range(step))

        def count(_: str, given: tuple[object, ...]) -> None:
            if given and str(given[0]).startswith(places) and next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        write()

    child = multiprocessing.get_context("fork").Process(target=in_the_fork)
    child.start()
    child.join()
    assert child.exitcode in (0, -signal.SIGKILL), child.exitcode
    return child.exitcode != 0


@pytest.mark.slow
def test_killed_at_any_step_of_the_writing_the_folder_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    with Endpoint(Writes()) as endpoint:
        suite, source = suite_at(tmp_path, endpoint), prompts_at(tmp_path, 12)
        found = []
        for n in (9, 4):
            varied(tmp_path, suite, source, n)
            found.append({path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()})
    after, before = found
    steps, seen = 0, []
    while killed_at(steps, tmp_path / "new", lambda: varied(tmp_path, suite, source, 9)):
        there = {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()}
        assert there in (before, after), steps
        seen.append(there == after)
        steps += 1
    assert set(seen) == {False, True}, "kills before and after the folder is replaced"


@pytest.mark.slow
def test_killed_and_failing_it_goes_on(sciexam: Cli, tmp_path: Path) -> None:
    command = [
        "data",
        "prompts",
        "--from",
        "train.jsonl",
        "-m",
        "llm",
        "-s",
        "exam.yaml",
        "--n",
        "40",
        "-o",
        "new",
    ]
    with Endpoint(Writes(), latency=0.03, faults=["400"]) as endpoint:
        suite_at(tmp_path, endpoint, model={"concurrency": 4})
        prompts_at(tmp_path, 12)
        child = subprocess.Popen(
            [str(COMMAND), *command], cwd=tmp_path, env=clean_environment(), stderr=subprocess.DEVNULL
        )
        while endpoint.requests < 12 and child.poll() is None:
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        assert not (tmp_path / "new").exists()
        done = sciexam(*command)
        assert done.returncode == 0, done.stderr
        assert endpoint.requests <= 40 + 1 + 4 + UNCOMMITTED_REPLIES
    assert len(lines(tmp_path / "new" / "train_prompts.jsonl")) == 40
