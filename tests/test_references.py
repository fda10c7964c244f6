"""A judge that is given a reference answer where the prompt brings none: written once, stored, shown every time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import Cli, answers, write_jsonl, write_suite
from endpoint import Body, Endpoint, judge_longer, prompt_of
from sciexam.errors import DocumentError
from sciexam.exam.preflight import Owed
from sciexam.exam.reporting import report as recount
from sciexam.exam.until import ROUND

PROMPTS = 6


def reply(body: Body) -> str:
    """As `teacher` it answers, as `judge-1` it judges."""
    return f"the reference to {prompt_of(body)}" if body["model"] == "teacher" else judge_longer(body)


def exam(folder: Path, server: Endpoint, **more: Any) -> Path:
    line = {"backend": "openai", "base_url": server.url, "api_key_env": None}
    models: dict[str, Any] = {
        name: {"responses": answers(folder, name, [f"{name} {i}" + " so" * (i + k) for i in range(PROMPTS)])}
        for k, name in enumerate(("a", "b"))
    }
    models["teacher"] = {**line, "model": "teacher"}
    judge = {**line, "model": "judge-1", "reference": "teacher"}
    return write_suite(folder, PROMPTS, models, **({"contestants": ["a", "b"], "judges": {"llm": judge}} | more))


def judged(server: Endpoint) -> list[str]:
    return [prompt_of(body) for body in server.received if body["model"] == "judge-1"]


def asked_teacher(server: Endpoint) -> int:
    return sum(body["model"] == "teacher" for body in server.received)


def test_the_reference_is_written_once_and_every_judgement_shows_it(tmp_path: Path, sciexam: Cli) -> None:
    with Endpoint(reply) as server:
        exam(tmp_path, server)
        first = sciexam("compare", "-s", "exam.yaml")
        assert first.returncode == 0, first.stderr
        assert f"at most {3 * PROMPTS} calls: {PROMPTS} for answers, {2 * PROMPTS} for verdicts" in first.stderr
        assert asked_teacher(server) == PROMPTS
        assert len(judged(server)) == 2 * PROMPTS
        for prompt in judged(server):
            (number,) = {i for i in range(PROMPTS) if f"Why does thing {i} happen?" in prompt}
            assert f"the reference to Why does thing {number} happen?" in prompt
        second = sciexam("compare", "-s", "exam.yaml")
        assert "nothing was left to do" in second.stderr
        assert server.requests == 3 * PROMPTS
        (folder,) = (tmp_path / "results" / "exam").iterdir()
        before = json.loads((folder / "report.json").read_text())["pairs"]
        assert sciexam("report", folder.name).returncode == 0
        assert json.loads((folder / "report.json").read_text())["pairs"] == before
        assert server.requests == 3 * PROMPTS


def test_a_prompt_that_brings_its_reference_keeps_it(tmp_path: Path) -> None:
    with Endpoint(reply) as server:
        path = exam(tmp_path, server)
        rows = [{"id": f"q{i}", "text": f"Why does thing {i} happen?"} for i in range(PROMPTS)]
        write_jsonl(tmp_path / "prompts.jsonl", [rows[0] | {"reference": "what the author wrote"}, *rows[1:]])
        sx.compare(sx.load_suite(str(path)), results=tmp_path / "results")
        assert asked_teacher(server) == PROMPTS - 1
        own = [prompt for prompt in judged(server) if "thing 0 happen" in prompt]
        assert len(own) == 2
        assert all("what the author wrote" in prompt and "the reference to" not in prompt for prompt in own)


def test_a_teacher_that_is_a_contestant_too_is_asked_once(tmp_path: Path) -> None:
    with Endpoint(reply) as server:
        path = exam(tmp_path, server, contestants=["a", "teacher"])
        sx.compare(sx.load_suite(str(path)), results=tmp_path / "results")
        assert asked_teacher(server) == PROMPTS
        assert len(judged(server)) == 2 * PROMPTS


def test_a_judge_without_the_reference_gives_other_facts(tmp_path: Path) -> None:
    with Endpoint(reply) as server:
        path = exam(tmp_path, server)
        with_it = sx.compare(sx.load_suite(str(path)), results=tmp_path / "results")
        suite = json.loads(path.read_text())
        del suite["judges"]["llm"]["reference"]
        path.write_text(json.dumps(suite))
        without = sx.compare(sx.load_suite(str(path)), results=tmp_path / "results")
        assert with_it.run != without.run
        assert len(judged(server)) == 4 * PROMPTS
        assert not any("the reference to" in prompt for prompt in judged(server)[2 * PROMPTS :])


def test_where_the_teacher_fails_the_verdict_is_failed_and_the_next_run_asks_again(
    tmp_path: Path, sciexam: Cli
) -> None:
    broken = True

    def moody(body: Body) -> str | dict[str, Any]:
        if broken and body["model"] == "teacher" and "thing 2" in prompt_of(body):
            return {"result": "no reply at all"}
        return reply(body)

    with Endpoint(moody) as server:
        exam(tmp_path, server)
        first = sciexam("compare", "-s", "exam.yaml", "--json")
        assert first.returncode == 3, first.stderr
        (pair,) = json.loads(first.stdout)["pairs"]
        assert (pair["used"], pair["failed"]) == (PROMPTS - 1, 1)
        assert pair["reasons"] == {"failed: no reference answer of teacher": 1}
        broken = False
        asked = server.requests
        second = sciexam("compare", "-s", "exam.yaml", "--json")
        assert second.returncode == 0, second.stderr
        assert json.loads(second.stdout)["pairs"][0]["used"] == PROMPTS
        assert server.requests == asked + 3


def test_a_reference_that_is_no_model_is_a_fault_of_its_line(tmp_path: Path) -> None:
    with Endpoint(reply) as server:
        path = exam(tmp_path, server)
        path.write_text(path.read_text().replace('"reference": "teacher"', '"reference": "teecher"'))
        with pytest.raises(DocumentError) as refused:
            sx.load_suite(str(path))
        said = "judges.llm.reference: 'teecher' is not a model; did you mean 'teacher'?"
        assert str(refused.value) == f"{path}:1: {said}"
        assert server.requests == 0


def test_a_teacher_without_its_key_is_told_by_check(tmp_path: Path, sciexam: Cli) -> None:
    with Endpoint(reply) as server:
        path = exam(tmp_path, server)
        suite = json.loads(path.read_text())
        suite["models"]["teacher"] |= {
            "api_key_env": "NO_KEY_OF_THE_TEACHER",
            "base_url": "https://endpoint.invalid/v1",
        }
        path.write_text(json.dumps(suite))
        done = sciexam("check", "exam.yaml")
    assert done.returncode == 2
    assert "judge llm: endpoint.invalid/v1: no key for the model 'teacher'; set NO_KEY_OF_THE_TEACHER" in done.stderr


def test_no_reference_is_written_for_a_prompt_that_nobody_can_be_judged_on(tmp_path: Path) -> None:
    """`a` has answered half of the prompts, and the teacher is a contestant: its other answers would be in vain."""
    with Endpoint(reply) as server:
        path = exam(tmp_path, server, contestants=["a", "teacher"])
        lines = (tmp_path / "a.jsonl").read_text().splitlines(keepends=True)
        (tmp_path / "a.jsonl").write_text("".join(lines[: PROMPTS // 2]))
        told: list[Owed] = []
        sx.compare(sx.load_suite(str(path)), results=tmp_path / "results", preflight=told.append)
        assert asked_teacher(server) == PROMPTS // 2
        assert told[0].calls == server.requests == 3 * (PROMPTS // 2)


def test_until_it_is_decided_references_are_written_as_far_as_they_are_needed(tmp_path: Path) -> None:
    prompts = 120
    with Endpoint(reply) as server:
        line = {"backend": "openai", "base_url": server.url, "api_key_env": None}
        models: dict[str, Any] = {
            name: {"responses": answers(tmp_path, name, [f"{name} {i}" + " so" * k for i in range(prompts)])}
            for k, name in enumerate(("a", "b"))
        }
        models["teacher"] = {**line, "model": "teacher"}
        judge = {**line, "model": "judge-1", "reference": "teacher"}
        path = write_suite(tmp_path, prompts, models, contestants=["a", "b"], judges={"llm": judge})
        suite = sx.load_suite(str(path))
        report = sx.compare(suite, until_decided=True, results=tmp_path / "results")
        (pair,) = report.pairs
        assert pair.stop is not None
        assert (pair.conclusion, pair.stop.finished) == ("better", True)
        assert pair.stop.prompts <= asked_teacher(server) <= pair.stop.prompts + 3 * ROUND < prompts
        assert all("the reference to" in prompt for prompt in judged(server))
        asked = server.requests
        again = sx.compare(suite, until_decided=True, results=tmp_path / "results")
        assert server.requests == asked
        assert recount(report.run, results=tmp_path / "results").pairs == again.pairs == report.pairs


def test_until_it_is_decided_a_teacher_that_fails_is_passed_over_and_asked_again(tmp_path: Path) -> None:
    broken = True

    def moody(body: Body) -> str | dict[str, Any]:
        if broken and body["model"] == "teacher":
            return {"result": "no reply at all"}
        return reply(body)

    with Endpoint(moody) as server:
        suite = sx.load_suite(str(exam(tmp_path, server)))
        (pair,) = sx.compare(suite, until_decided=True, results=tmp_path / "results").pairs
        assert pair.stop is not None
        assert (pair.used, pair.failed, pair.stop.prompts) == (0, PROMPTS, PROMPTS)
        broken = False
        (pair,) = sx.compare(suite, until_decided=True, results=tmp_path / "results").pairs
        assert (pair.used, pair.failed) == (PROMPTS, 0)


def test_a_mark_that_waits_for_its_reference_has_failed(tmp_path: Path) -> None:
    def moody(body: Body) -> str | dict[str, Any]:
        return {"result": "no reply at all"} if body["model"] == "teacher" else reply(body)

    with Endpoint(moody) as server:
        path = exam(tmp_path, server)
        suite = json.loads(path.read_text())
        suite["judges"]["llm"]["compare_by"] = "grades"
        suite["judges"]["even"] = {"backend": "measures"}
        path.write_text(json.dumps(suite))
        report = sx.compare(sx.load_suite(str(path)), judges=["llm"], results=tmp_path / "results")
    (pair,) = report.pairs
    assert (pair.used, pair.failed, pair.skipped) == (0, PROMPTS, 0)
    assert pair.reasons == {"failed: no reference answer of teacher": PROMPTS}
    assert report.incomplete


def test_a_teacher_that_answers_as_another_model_is_told(tmp_path: Path) -> None:
    with Endpoint(reply, model="someone-else") as server:
        report = sx.compare(sx.load_suite(str(exam(tmp_path, server))), results=tmp_path / "results")
    said = f"teacher: 'teacher' was asked for, but {PROMPTS} replies came from 'someone-else'."
    assert said in report.caveats


def test_what_validate_announces_holds_the_references(tmp_path: Path, sciexam: Cli) -> None:
    with Endpoint(reply) as server:
        exam(tmp_path, server)
        rows = [
            {"prompt": f"q{i}", "first": "a", "second": "b", "preferred": "second", "rater": "ann", "kind": "human"}
            for i in range(4)
        ]
        write_jsonl(tmp_path / "people.jsonl", rows)
        done = sciexam("validate", "llm", "-s", "exam.yaml", "--humans", "people.jsonl")
        assert done.returncode == 0, done.stderr
        assert "at most 12 calls: 4 for answers, 8 for verdicts" in done.stderr
        assert server.requests == 12
        assert asked_teacher(server) == 4


def test_marks_show_the_reference_too(tmp_path: Path) -> None:
    def mark(body: Body) -> str:
        return f"the reference to {prompt_of(body)}" if body["model"] == "teacher" else "no mark at all"

    with Endpoint(mark) as server:
        path = exam(tmp_path, server)
        sx.grade(sx.load_suite(str(path)), "a", results=tmp_path / "results")
        assert asked_teacher(server) == PROMPTS
        assert len(judged(server)) == PROMPTS
        assert all("the reference to Why does thing" in prompt for prompt in judged(server))
