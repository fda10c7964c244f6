"""A judge that is given a reference answer where the prompt brings none: written once, stored, shown every time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import Cli, answers, write_jsonl, write_suite
from endpoint import Body, Endpoint, judge_longer, prompt_of
from sciexam.errors import UsageError

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


def test_a_reference_that_is_no_model_is_named_with_what_to_type(tmp_path: Path) -> None:
    with Endpoint(reply) as server:
        path = exam(tmp_path, server)
        path.write_text(path.read_text().replace('"reference": "teacher"', '"reference": "teecher"'))
        with pytest.raises(UsageError, match=r"judge 'llm': reference: 'teecher' is not a model; did you mean 'tea"):
            sx.compare(sx.load_suite(str(path)), results=tmp_path / "results")
        assert server.requests == 0


def test_marks_show_the_reference_too(tmp_path: Path) -> None:
    def mark(body: Body) -> str:
        return f"the reference to {prompt_of(body)}" if body["model"] == "teacher" else "no mark at all"

    with Endpoint(mark) as server:
        path = exam(tmp_path, server)
        sx.grade(sx.load_suite(str(path)), "a", results=tmp_path / "results")
        assert asked_teacher(server) == PROMPTS
        assert len(judged(server)) == PROMPTS
        assert all("the reference to Why does thing" in prompt for prompt in judged(server))
