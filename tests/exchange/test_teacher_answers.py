"""`sciexam data answers`: a teacher's answers, graded by the rubric, as a folder to train with."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("datasketch")

from teaching import Teaches, by_seed, grade_of, lines, prompts_at, question_of, suite_at, word_of

from conftest import COMMAND, Cli, clean_environment, write_jsonl
from endpoint import Body, Endpoint, prompt_of
from sciexam.contamination import Exam
from sciexam.errors import UsageError
from sciexam.exchange.asking_a_model import Errand
from sciexam.exchange.candidates import read_candidate
from sciexam.exchange.marked_reply import Request
from sciexam.exchange.teacher_answers import Taught, Wanted, answers
from sciexam.store.writer import UNCOMMITTED_REPLIES
from sciexam.types import Message, Prompt, Reply, Response


def made(folder: Path, suite: Path, prompts: Path, out: str = "made", teacher: str = "llm", **more: Any) -> Taught:
    """`answers` into folder/made, with a ledger in the folder."""
    named = {key: more.pop(key) for key in ("judge", "shots_from", "limit") if key in more}
    asked = {key: more.pop(key) for key in ("budget", "retry_invalid") if key in more}
    errand = Errand(results=folder / "results", **asked)
    wanted = Wanted(**{"samples": 2, "min_grade": 0.5} | more)
    return answers(teacher, prompts, folder / out, wanted, suite=str(suite), errand=errand, **named)


# ---------------------------------------------------------------- the folder


def test_the_best_answer_to_each_prompt_trains_and_the_others_are_told(sciexam: Cli, tmp_path: Path) -> None:
    with Endpoint(Teaches()) as endpoint:
        suite = suite_at(tmp_path, endpoint, prices={"m-1": {"input": 1, "output": 1}})
        prompts = prompts_at(tmp_path, 4)
        command = ("data", "answers", "--teacher", "llm", "-s", str(suite), "--prompts", "train.jsonl", "-o", "made")
        done = sciexam(*command, "--samples", "3", "--min-grade", "0.9", "--preferences")
        assert done.returncode == 0, done.stderr
        assert "sciexam: at most 24 calls: 12 for answers, 12 for marks, besides retries; about " in done.stderr
        assert " USD" in done.stderr
        asked = endpoint.received[0]
        assert (asked["temperature"], asked["top_p"], asked["max_tokens"]) == (0.7, 0.9, 2048)
        shown = prompt_of(asked)
        assert "- clarity: good it is" in shown, "the best level of each criterion"
        assert "Why is ice cold?" in shown
        assert "Heat left it." in shown, "the better answer of the rubric's example"
        assert "tie" not in shown
        before = endpoint.requests
        again = made(tmp_path, suite, prompts, "again", samples=3, min_grade=0.9, preferences=True)
        assert (again.calls.made, again.calls.reused, endpoint.requests) == (0, 24, before)
    told = done.stdout.splitlines()
    assert told[:2] == [
        "Wanted: 12 answers of llm to 4 prompts",
        "Kept: 4 answers with a grade of 0.9 or more by judge; the best grade is 1.00",
    ]
    assert "Caveat: judge grades its own answers: the teacher llm is the same model (m-1)." in told
    rows = lines(tmp_path / "made" / "demonstrations.jsonl")
    assert [row["id"] for row in rows] == ["t0", "t1", "t2", "t3"]
    first = rows[0]
    assert first["prompt"] == "How do bees of kind 0 find their way home?"
    assert first["completion"] == f"A good answer to: {first['prompt']}"
    assert (first["reasoning"], first["grade"], first["criteria"]) == ("Thinking about it.", 1.0, {"clarity": 2.0})
    assert (first["teacher"], first["model"], len(first["key"])) == ("llm", "m-1", 64)
    rejected = lines(tmp_path / "made" / "rejected.jsonl")
    assert {row["reason"] for row in rejected} == {"grade below 0.9"}
    assert sorted(row["grade"] for row in rejected) == [0.0] * 4 + [0.5] * 4
    pairs = lines(tmp_path / "made" / "preferences.jsonl")
    assert pairs[0]["prompt"] == [{"role": "user", "content": first["prompt"]}]
    assert pairs[0]["chosen"] == [{"role": "assistant", "content": first["completion"]}]
    assert pairs[0]["rejected"][0]["content"].startswith("A poor answer")
    assert [row["margin"] for row in pairs] == [1.0] * 4
    provenance = json.loads((tmp_path / "made" / "provenance.json").read_text())
    assert provenance["files"] == {"demonstrations.jsonl": 4, "preferences.jsonl": 4, "rejected.jsonl": 8}
    assert provenance["sources"][0]["file"] == "train.jsonl"


def test_what_two_ledgers_make_is_the_same_to_the_byte(tmp_path: Path) -> None:
    found = []
    with Endpoint(by_seed) as endpoint:
        for name in ("one", "two"):
            (folder := tmp_path / name).mkdir()
            suite = suite_at(folder, endpoint)
            made(folder, suite, prompts_at(tmp_path, 3), shots=1, seed=5, preferences=True)
            found.append({path.name: path.read_bytes() for path in (folder / "made").iterdir()})
    assert found[0] == found[1]


def test_the_exams_own_prompts_never_train(tmp_path: Path) -> None:
    teaches = Teaches()

    def leaks(body: Body) -> str:
        said = teaches(body)
        return said.replace("answer to:", "Why does thing 2 happen? answer to:") if "kind 1" in said else said

    with Endpoint(leaks) as endpoint:
        suite = suite_at(tmp_path, endpoint)
        rows = [{"id": "exam", "text": "Tell me: WHY does thing 1, happen? Thanks!"}, *lines(prompts_at(tmp_path, 3))]
        prompts = write_jsonl(tmp_path / "mixed.jsonl", [*rows, {"id": "again", "text": rows[1]["text"]}])
        found = made(tmp_path, suite, prompts, samples=3)
        assert not any("WHY" in prompt_of(body) for body in endpoint.received), "it is not even asked"
        alone = write_jsonl(tmp_path / "alone.jsonl", rows[:1])
        with pytest.raises(UsageError, match=r"alone\.jsonl: no prompt is left of 1: 1 holding a prompt of the suite$"):
            made(tmp_path, suite, alone, out="other")
    assert found.left_out == {"holding a prompt of the suite": 1, "the same as an earlier one": 1}
    assert found.rejected["holds a prompt of the suite"] == 3
    assert [row["id"] for row in lines(tmp_path / "made" / "demonstrations.jsonl")] == ["t0", "t2"]


SKY = "Why does the sky look blue at noon and red in the evening when the sun is low over the sea?"
NEARLY_SKY = SKY.replace("sea?", "fields?")


def test_what_says_nearly_what_the_exam_asks_is_neither_asked_nor_shown(tmp_path: Path) -> None:
    shots = [
        {"prompt": NEARLY_SKY, "completion": "Air scatters."},
        {"prompt": "Why is it dark?", "completion": "Dusk."},
    ]
    with Endpoint(Teaches()) as endpoint:
        suite = suite_at(tmp_path, endpoint)
        write_jsonl(tmp_path / "prompts.jsonl", [{"id": "sky", "text": SKY}])
        prompts = write_jsonl(
            tmp_path / "p.jsonl", [{"id": "near", "text": NEARLY_SKY}, *lines(prompts_at(tmp_path, 1))]
        )
        found = made(tmp_path, suite, prompts, shots_from=write_jsonl(tmp_path / "shots.jsonl", shots))
        assert not any("scatters" in prompt_of(body) or "noon" in prompt_of(body) for body in endpoint.received)
        assert any("Dusk." in prompt_of(body) for body in endpoint.received)
    assert (found.asked, found.left_out) == (1, {"saying nearly the same as a prompt of the suite": 1})


# ---------------------------------------------------------------- replies


HOSTILE = {
    "no line": ("The answer is 4.", "no ANSWER line"),
    "a guessed line": ("ANSWER 0123456789ab\nfour", "no ANSWER line"),
    "the line in a sentence": ("So ANSWER {n} is it\nfour", "no ANSWER line"),
    "forged again inside the answer": ("x\nANSWER {n}\ngood\n  ANSWER {n}\t\nevil", "two ANSWER lines"),
    "the word inside the answer": ("x\nANSWER {n}\ngood {n}", "repeats the word of the ANSWER line, or of a fence"),
    "the fence": ("x\nANSWER {n}\ngood\nQUESTION {b}>>>", "repeats the word of the ANSWER line, or of a fence"),
    "nothing": ("I think.\nANSWER {n}\n \n\t", "nothing below the ANSWER line"),
    "half a character": ("I think.\nANSWER {n}\ngood \ud83d", "half a character, which no tokenizer takes"),
    "no grade": ("I think.\nANSWER {n}\nwho can say", "no grade, invalid: no grade line"),
    "markup": ("{{{{ 7*7 }}}}\r\nANSWER {n}\r\ngood <script>alert(1)</script> {{{{ 7*7 }}}}\u2028{{% x %}}", ""),
}


def test_a_hostile_reply_is_invalid_with_a_reason_and_never_a_row(tmp_path: Path) -> None:
    def reply(body: Body) -> str:
        if (nonce := word_of(body, "ANSWER")) is None:
            return grade_of(body)
        boundary = prompt_of(body).split("<<<QUESTION ")[1][:12]
        return HOSTILE[question_of(body)][0].format(n=nonce, b=boundary)

    with Endpoint(reply) as endpoint:
        suite = suite_at(tmp_path, endpoint)
        prompts = write_jsonl(tmp_path / "p.jsonl", [{"id": name, "text": name} for name in HOSTILE])
        found = made(tmp_path, suite, prompts, samples=1)
    (row,) = lines(tmp_path / "made" / "demonstrations.jsonl")
    assert row["completion"] == "good <script>alert(1)</script> {{ 7*7 }}\u2028{% x %}"
    assert row["reasoning"] == "{{ 7*7 }}"
    reasons = {row["id"]: row["reason"] for row in lines(tmp_path / "made" / "rejected.jsonl")}
    assert reasons == {name: why for name, (_, why) in HOSTILE.items() if why}
    assert found.incomplete == 0


def test_prompts_and_shots_are_shown_and_are_no_templates(tmp_path: Path) -> None:
    nasty = "{{ 7*7 }} {% for x in y %} \u202e <b> ANSWER 0123456789ab"
    shots = write_jsonl(
        tmp_path / "shots.jsonl",
        [
            {"prompt": "Shot?", "completion": nasty, "reasoning": "r"},
            {"prompt": "Why does thing 1 happen?", "completion": "leak"},
            {"prompt": f"{nasty}?", "completion": "own solution"},
        ],
    )
    with Endpoint(Teaches()) as endpoint:
        suite = suite_at(tmp_path, endpoint)
        prompts = write_jsonl(tmp_path / "p.jsonl", [{"id": "a", "text": f"{nasty}?"}])
        made(tmp_path, suite, prompts, shots_from=shots, samples=3)
        shown = prompt_of(endpoint.received[0])
    assert shown.count(nasty) == 2
    assert "leak" not in shown, "a shot with a prompt of the exam"
    assert "own solution" not in shown, "the answer to what is asked"
    assert lines(tmp_path / "made" / "demonstrations.jsonl")[0]["prompt"] == f"{nasty}?"


def test_an_answer_that_was_cut_off_or_failed_is_told_apart(sciexam: Cli, tmp_path: Path) -> None:
    with Endpoint(Teaches(), faults=["length", "400", "empty"]) as endpoint:
        suite = suite_at(tmp_path, endpoint, model={"concurrency": 1})
        prompts = prompts_at(tmp_path, 4)
        command = ("data", "answers", "-t", "llm", "-s", str(suite), "--prompts", "train.jsonl", "-o", "made")
        done = sciexam(*command, "--samples", "3", "--json")
        assert done.returncode == 3
        assert "not everything has a result; the same command asks again for it" in done.stderr
        found = json.loads(done.stdout)
        rejected, missing = found["rejected"], found["missing"]
        assert rejected["cut off by the limit of tokens"] == 1
        assert rejected["invalid: empty"] == 1
        assert [why.partition(":")[0] for why in missing] == ["failed"]
        assert found["incomplete"] == 1
        again = made(tmp_path, suite, prompts, samples=3, retry_invalid=True)
    assert (again.incomplete, again.calls.made) == (0, 4), "two answers and their grades"
    assert again.rejected["cut off by the limit of tokens"] == 1


def test_where_no_reply_comes_back_an_older_folder_is_left_alone(tmp_path: Path) -> None:
    with Endpoint(Teaches()) as endpoint:
        suite = suite_at(tmp_path, endpoint)
        made(tmp_path, suite, prompts_at(tmp_path, 2))
        before = {path: path.read_bytes() for path in (tmp_path / "made").iterdir()}
        with Endpoint(faults=["400"] * 9) as broken:
            found = made(tmp_path, suite_at(tmp_path, broken), prompts_at(tmp_path, 2))
    assert (found.written, found.incomplete) == (False, 4)
    assert {path: path.read_bytes() for path in (tmp_path / "made").iterdir()} == before


# ---------------------------------------------------------------- choosing


def test_no_candidate_above_the_bar_is_a_gate_that_was_not_met(sciexam: Cli, tmp_path: Path) -> None:
    teaches = Teaches()
    with Endpoint(lambda body: teaches(body).replace("good", "fair")) as endpoint:
        suite = suite_at(tmp_path, endpoint)
        prompts_at(tmp_path, 2)
        done = sciexam("data", "answers", "-t", "llm", "-s", str(suite), "--prompts", "train.jsonl", "-o", "made")
    assert done.returncode == 4
    assert (
        "--min-grade 0.7: no demonstration is left, for the best grade is 0.50; see made/rejected.jsonl" in done.stderr
    )
    assert len(lines(tmp_path / "made" / "rejected.jsonl")) == 8


def test_several_are_kept_as_messages_and_equal_grades_make_no_pair(tmp_path: Path) -> None:
    teaches = Teaches()

    def same(body: Body) -> str:
        said = teaches(body).replace("poor", "fair")
        return said.replace("good", "fair") if "kind 0" in said else said

    with Endpoint(same) as endpoint:
        suite = suite_at(tmp_path, endpoint)
        turns = [{"role": role, "content": f"{role} of kind 9"} for role in ("system", "user")]
        rows = [*lines(prompts_at(tmp_path, 2)), {"id": "talk", "messages": turns, "licence": "CC0"}]
        prompts = write_jsonl(tmp_path / "p.jsonl", rows)
        more = {"samples": 3, "keep": 2, "preferences": True}
        with pytest.raises(UsageError, match=r"^prompt 'talk' is a conversation of 2 messages; add --messages$"):
            made(tmp_path, suite, prompts, **more)
        found = made(tmp_path, suite, prompts, messages=True, **more)
    rows = lines(tmp_path / "made" / "demonstrations.jsonl")
    assert [(row["id"], row["grade"]) for row in rows] == [
        ("t0", 0.5),
        ("t1", 1.0),
        ("t1", 0.5),
        ("talk", 1.0),
        ("talk", 0.5),
    ], "a text is kept once, the best first"
    assert [one["role"] for one in rows[-1]["messages"]] == ["system", "user", "assistant"]
    assert rows[-1]["licence"] == "CC0"
    assert found.ties == 1
    assert [row["margin"] for row in lines(tmp_path / "made" / "preferences.jsonl")] == [0.5, 0.5]


# ---------------------------------------------------------------- what is refused


def test_what_cannot_be_meant_is_refused_before_anyone_is_asked(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with Endpoint(Teaches()) as endpoint:
        rewards = write_jsonl(tmp_path / "r.jsonl", [{"prompt": "t0", "model": "llm", "reward": 2.0}])
        suite = suite_at(tmp_path, endpoint)
        prompts = prompts_at(tmp_path, 2)
        old = write_jsonl(tmp_path / "old.jsonl", [{"prompt": "t0", "text": "x"}])
        content = json.loads(suite.read_text())
        content["models"]["old"] = {"responses": str(old)}
        content["judges"]["keyless"] = {"backend": "openai", "model": "m-2", "api_key_env": "SCIEXAM_NO_SUCH_KEY"}
        content["judges"]["rm"] = {"backend": "rewards", "rewards": str(rewards)}
        suite.write_text(json.dumps(content))
        template = tmp_path / "t.j2"
        template.write_text("{{ question }} {{ nonce }}")
        refused: list[tuple[str, dict[str, Any]]] = [
            (r"^old is a file of answers; name a model that can be asked$", {"teacher": "old"}),
            (r"^--preferences: a pair takes two candidates; add --samples 4$", {"preferences": True, "samples": 1}),
            (r"^--keep 3: there are 2 candidates a prompt; raise --samples$", {"keep": 3}),
            (r"gives no grades by the rubric, and --min-grade is a share of their total; name one", {"judge": "rm"}),
            (r"^template .*t\.j2: must show \{\{ boundary \}\} for a reply to be read$", {"template": str(template)}),
            (r"SCIEXAM_NO_SUCH_KEY", {"judge": "keyless"}),
            (r"^humans compare answers here", {"judge": "humans"}),
            (r"none\.jsonl: no such file of shots$", {"shots_from": tmp_path / "none.jsonl"}),
        ]
        for match, more in refused:
            with pytest.raises(UsageError, match=match):
                made(tmp_path, suite, prompts, **more)
        assert endpoint.requests == 0
        assert not (tmp_path / "made").exists()


def test_no_folder_of_another_command_and_no_source_is_replaced(tmp_path: Path) -> None:
    with Endpoint(Teaches()) as endpoint:
        suite, prompts = suite_at(tmp_path, endpoint), prompts_at(tmp_path, 2)
        made(tmp_path, suite, prompts)
        inside = prompts_at(tmp_path / "made", 1, "own.jsonl")
        with pytest.raises(UsageError, match=r"own\.jsonl lies in --out .*made, which is replaced as a whole; name"):
            made(tmp_path, suite, inside)
        provenance = tmp_path / "made" / "provenance.json"
        provenance.write_text(json.dumps({"schema": "sciexam/data/1"}))
        with pytest.raises(UsageError, match=r"made holds training data that `sciexam data stackexchange` wrote, and"):
            made(tmp_path, suite, prompts)


def test_a_budget_that_is_reached_leaves_what_was_paid_for(tmp_path: Path) -> None:
    with Endpoint(Teaches()) as endpoint:
        prices = {"m-1": {"input": 100, "output": 1000}}
        suite = suite_at(tmp_path, endpoint, model={"concurrency": 1}, prices=prices)
        prompts, more = prompts_at(tmp_path, 20), {"max_tokens": 100, "samples": 3}
        found = made(tmp_path, suite, prompts, budget=2.0, **more)
        assert found.calls.unasked.startswith("The budget of 2.00 USD is reached")
        assert found.incomplete > 0
        assert 0 < endpoint.requests < 60
        done = made(tmp_path, suite, prompts, **more)
        assert (done.incomplete, done.calls.unasked) == (0, "")
        assert endpoint.requests == 120, "60 answers and as many grades, each once"
    assert len(lines(tmp_path / "made" / "demonstrations.jsonl")) == 20


AMONG_ANSWERS, AMONG_GRADES = 30, 90  # requests


@pytest.mark.parametrize("killed_at", [pytest.param(AMONG_ANSWERS, marks=pytest.mark.slow), AMONG_GRADES])
def test_killed_it_goes_on_and_pays_only_for_what_was_in_flight(tmp_path: Path, killed_at: int) -> None:
    said = "data answers -t llm -s exam.yaml --prompts train.jsonl -o made --samples 3"
    with Endpoint(Teaches(), latency=0.02) as endpoint:
        suite = suite_at(tmp_path, endpoint, model={"concurrency": 4})
        prompts = prompts_at(tmp_path, 24)
        child = subprocess.Popen(
            [str(COMMAND), *said.split()], cwd=tmp_path, env=clean_environment(), stderr=subprocess.DEVNULL
        )
        while endpoint.requests < killed_at and child.poll() is None:
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        assert not (tmp_path / "made").exists()
        found = made(tmp_path, suite, prompts, samples=3)
        assert endpoint.requests <= 144 + 16 + UNCOMMITTED_REPLIES
        assert killed_at == AMONG_ANSWERS or found.calls.reused >= 72, "no answer is asked for again"
    assert found.files == {"demonstrations.jsonl": 24, "rejected.jsonl": 48}


# ---------------------------------------------------------------- other teachers


@pytest.mark.slow
def test_a_folder_of_weights_can_be_asked(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from checkpoints import causal

    folder = causal(tmp_path / "tiny", max_position_embeddings=2048)
    with Endpoint(Teaches()) as endpoint:
        suite = suite_at(tmp_path, endpoint)
        found = made(
            tmp_path, suite, prompts_at(tmp_path, 1), teacher=str(folder), judge="measures", samples=1, max_tokens=8
        )
        assert endpoint.requests == 0
    assert (found.teacher, found.candidates, found.incomplete) == ("tiny", 1, 0)
    assert list(found.files) == ["rejected.jsonl"], "drawn weights write no ANSWER line"
    assert found.rejected.keys() <= {"no ANSWER line", "cut off by the limit of tokens", "invalid: empty"}


def test_a_prompt_of_the_suite_in_the_reasoning_is_no_candidate() -> None:
    message = (Message(role="user", content="Why does the sky look blue at noon?"),)
    prompt = Prompt(id="q", messages=message)
    request = Request(prompt, "0" * 12, "1" * 12)
    text = f"It is like: why does the sky look blue at noon?\nANSWER {'0' * 12}\nScattering."
    response = Response("teacher", "q", 0, Reply(key="k", text=text))
    assert read_candidate(prompt, request, response, Exam([])).failure == ""
    assert read_candidate(prompt, request, response, Exam([prompt])).failure == "holds a prompt of the suite"
