"""`sciexam data prompts`: more prompts of the kind of those in a file, each once, and none of the exam's."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from teaching import lines, prompts_at, suite_at, word_of

from conftest import COMMAND, Cli, clean_environment, write_jsonl
from endpoint import Body, Endpoint, prompt_of
from sciexam.errors import UsageError
from sciexam.exchange.asking_a_model import Errand
from sciexam.store.writer import UNCOMMITTED_REPLIES
from sciexam.suite import read_prompts

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


def varied(folder: Path, suite: Path, source: Path, n: int, out: str = "new.jsonl", **more: Any) -> Varied:
    wanted = Wanted(n, **{"shots": 4} | more)
    return vary("llm", source, folder / out, wanted, suite=str(suite), errand=Errand(results=folder / "results"))


def test_new_prompts_say_which_ones_they_were_made_after(sciexam: Cli, tmp_path: Path) -> None:
    with Endpoint(Writes()) as endpoint:
        suite = suite_at(tmp_path, endpoint)
        source = prompts_at(tmp_path, 12)
        write_jsonl(source, [row | {"licence": "CC BY-SA 4.0"} for row in lines(source)])
        done = sciexam(
            *("data", "prompts", "--from", "train.jsonl", "--shots", "8", "--model", "llm", "-s", str(suite)),
            *("--n", "6", "--out", "new.jsonl"),
        )
        assert done.returncode == 0, done.stderr
        assert "sciexam: at most 6 calls for answers, besides retries; about " in done.stderr
        asked = endpoint.received[0]
        assert (asked["temperature"], asked["top_p"]) == (0.6, 0.9)
        assert len(set(re.findall(r"bees of kind \d+", prompt_of(asked)))) == 8
    beside = tmp_path / "new.jsonl.provenance.json"
    assert done.stdout.splitlines()[:2] == [
        "Asked: llm, for 6 prompts, shown some of 12",
        "Kept: 6 prompts in new.jsonl; where they come from is in new.jsonl.provenance.json",
    ]
    rows = lines(tmp_path / "new.jsonl")
    assert len(read_prompts(tmp_path / "new.jsonl")) == 6, "a file of prompts"
    assert {len(set(row["shots"])) for row in rows} == {8}
    assert len({tuple(row["shots"]) for row in rows}) == 6
    assert rows[0]["shown"][0] == {"shot": rows[0]["shots"][0], "licence": "CC BY-SA 4.0"}
    assert (rows[0]["written_by"], rows[0]["model"], len(rows[0]["key"])) == ("llm", "m-1", 64)
    provenance = json.loads(beside.read_text())
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
    assert sorted(row["text"] for row in lines(tmp_path / "new.jsonl")) == sorted(
        text.removeprefix("PROMPT {n}\n") for text, why in BAD.items() if not why
    )
    reasons = [why for why in BAD.values() if why]
    assert found.left_out == {why: reasons.count(why) for why in reasons}
    provenance = json.loads((tmp_path / "new.jsonl.provenance.json").read_text())
    assert sorted(one["reason"] for one in provenance["replies_left_out"]) == sorted(reasons)


def test_a_prompt_that_says_nearly_what_the_exam_says_is_left_out(tmp_path: Path) -> None:
    asked = "Why does the sky look blue at noon and red in the evening when the sun is low over the sea?"
    near = f"PROMPT {{n}}\n{asked.replace('when the', 'while the').replace('Why', 'Explain why')}"
    with Endpoint(Writes([near, near.replace("sea", "sea") + " "])) as endpoint:
        suite = suite_at(tmp_path, endpoint)
        write_jsonl(tmp_path / "prompts.jsonl", [{"id": "sky", "text": asked}])
        found = varied(tmp_path, suite, prompts_at(tmp_path, 5), 2)
    assert (found.written, found.left_out) == (0, {"says nearly the same as a prompt of the suite": 2})
    assert not (tmp_path / "new.jsonl").exists()


def test_the_exams_prompts_and_conversations_are_never_shown(tmp_path: Path) -> None:
    rows = [
        {"id": "exam", "text": "Why does thing 1 happen?"},
        {"id": "talk", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]},
        *({"id": f"{i}", "text": f"What is the colour of {bird} eggs?"} for i, bird in enumerate(BIRDS[:4])),
        {"id": "twice", "text": "What is the colour of robin eggs?"},
    ]
    source = write_jsonl(tmp_path / "mixed.jsonl", rows)
    with Endpoint(Writes()) as endpoint:
        suite = suite_at(tmp_path, endpoint)
        found = varied(tmp_path, suite, source, 3)
        assert not any("thing 1" in prompt_of(body) for body in endpoint.received)
        with pytest.raises(UsageError) as caught:
            varied(tmp_path, suite, source, 3, shots=8)
    assert found.shots == 4
    left_out = "1 that hold a prompt of the suite; 1 conversations of several messages; 1 the same as an earlier one"
    assert str(caught.value) == (
        f"{source}: 8 prompts are shown at a time, and 4 of 7 can be shown; {left_out}; give more, or lower --shots"
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
        before = [(tmp_path / name).read_bytes() for name in ("new.jsonl", "new.jsonl.provenance.json")]
        (other := tmp_path / "other").mkdir()
        vary("llm", source, other / "new.jsonl", Wanted(9, 4, seed=3), suite=str(suite), errand=Errand(results=other))
        assert [(other / name).read_bytes() for name in ("new.jsonl", "new.jsonl.provenance.json")] == before
        varied(tmp_path, suite, source, 9, seed=4)
    assert (tmp_path / "new.jsonl").read_bytes() != before[0]


def test_no_file_of_somebody_else_is_replaced(tmp_path: Path) -> None:
    with Endpoint(Writes()) as endpoint:
        suite, source = suite_at(tmp_path, endpoint), prompts_at(tmp_path, 5)
        with pytest.raises(UsageError, match=r"^--out: .*train\.jsonl is the file that is read; name another$"):
            varied(tmp_path, suite, source, 1, out="train.jsonl")
        with pytest.raises(
            UsageError, match=r"marks\.yaml was not written by this command, and would be replaced; name"
        ):
            varied(tmp_path, suite, source, 1, out="marks.yaml")
        with pytest.raises(UsageError, match=r"^--out: .* is a folder; name a file$"):
            varied(tmp_path, suite, source, 1, out=".")
        assert endpoint.requests == 0


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
        "new.jsonl",
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
        assert not (tmp_path / "new.jsonl").exists()
        done = sciexam(*command)
        assert done.returncode == 0, done.stderr
        assert endpoint.requests <= 40 + 1 + 4 + UNCOMMITTED_REPLIES
    assert len(lines(tmp_path / "new.jsonl")) == 40
