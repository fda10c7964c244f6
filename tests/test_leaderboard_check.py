"""`sciexam leaderboard --check`: whether all rows are complete and alike. It asks nobody, and writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from annotate_queue import judging_by, queue_of
from conftest import Cli, answers, write_jsonl, write_suite
from endpoint import Endpoint, judge_first, judge_longer
from sciexam import store as ledger
from sciexam.annotate.desk import Desk
from sciexam.annotate.links import until
from sciexam.battles import pair
from sciexam.errors import GateNotMet
from sciexam.exam import check_leaderboard
from sciexam.exam.answers import responses_of
from sciexam.exam.board.plan import make_board_plan
from sciexam.exam.plan import conversations_of, presentations_of
from sciexam.models.terms import USUAL
from sciexam.store import Store
from sciexam.store.annotations import Annotations
from sciexam.types import Reply

N = 8
PAIRS = ("sft against base", "rlhf against base", "null against base", "rlhf against sft")
AGAIN = "run the command without --check, which asks for what is missing."
RETRY = "run the command with --retry-invalid instead of --check."
TWO = {"backend": "panel", "judges": ["llm", "second"]}
PIN = "write a dated name as its `model:` in the suite; what is asked under that name is a fact of its own."


def exam_of(folder: Path, leave_out: Any = (), live: Any = None, **more: Any) -> sx.Suite:
    """Contestants base, sft and rlhf; without sft's answers to the prompts `leave_out`, or with `live` in its place."""
    models: dict[str, Any] = {}
    for place, name in enumerate(("base", "sft", "rlhf")):
        rows = [{"prompt": f"q{i}", "text": "heat " * (1 + (i + place) % 4)} for i in range(N)]
        kept = [row for i, row in enumerate(rows) if name != "sft" or i not in leave_out]
        write_jsonl(folder / f"{name}.jsonl", kept)
        models[name] = {"responses": f"{name}.jsonl"}
    models |= {"sft": live} if live else {}
    return sx.load_suite(str(write_suite(folder, N, models, baseline="base", **more)))


def scripted(*rules: Any) -> dict[str, Any]:
    judge = {"backend": "scripted", "rules": [*rules, {"say": "A"}], "template": "verdict-only"}
    return {"judges": {"fake": judge}}


def faults(exam: sx.Suite, folder: Path, *names: str, **how: Any) -> list[str]:
    with pytest.raises(GateNotMet) as raised:
        check_leaderboard(exam, *names, results=folder, **how)
    head, *told = str(raised.value).splitlines()
    assert head.startswith(f"--check: {len(told)} fault")
    return told


def put(exam: sx.Suite, folder: Path, replies: Callable[[Any, Store], list[Reply]]) -> None:
    """Append replies to the ledger, of which `replies` knows the plan of the board."""
    plan, _ = make_board_plan(exam, (), None, "all", None, "mean", "category", None, USUAL)
    with Store(folder / "ledger.sqlite") as store:
        store.append(replies(plan, store))


def test_a_complete_board_is_told_in_one_line_and_nothing_is_asked_or_written(sciexam: Cli, tmp_path: Path) -> None:
    exam_of(tmp_path, **scripted())
    check = ("leaderboard", "-s", "exam.yaml", "--check")
    assert "no ledger there" in sciexam(*check, cwd=tmp_path).stderr
    assert sciexam("leaderboard", "-s", "exam.yaml", cwd=tmp_path).returncode == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*") if path.is_file()}
    with Store(tmp_path / "results" / "ledger.sqlite") as store:
        facts = store.length()
    done = sciexam(*check, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "The leaderboard of exam by fake is complete and alike: 4 rows, 8 prompts each.\n"
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*") if path.is_file()}
    with Store(tmp_path / "results" / "ledger.sqlite") as store:
        assert store.length() == facts
    assert {p: t for p, t in after.items() if ".sqlite" not in p.name} == {
        p: t for p, t in before.items() if ".sqlite" not in p.name
    }
    exam_of(tmp_path, leave_out=(1,), **scripted())
    done = sciexam(*check, cwd=tmp_path)
    assert done.returncode == 4
    assert f"sft: 1 of 8 answers is missing; add what is missing to {tmp_path}/sft.jsonl." in done.stderr
    assert f"sft: 7 of 8 answers are missing; {AGAIN}" in done.stderr, "another file holds other answers"


def test_answers_that_are_missing_are_named_with_their_file(tmp_path: Path) -> None:
    exam = exam_of(tmp_path, leave_out=(1, 4), **scripted())
    sx.leaderboard(exam, results=tmp_path)
    file = tmp_path / "sft.jsonl"
    assert faults(exam, tmp_path) == [f"sft: 2 of 8 answers are missing; add what is missing to {file}."]


def test_unusable_verdicts_failed_calls_and_what_was_not_judged_are_told_apart(tmp_path: Path) -> None:
    unusable, failed = {"when": "thing 3", "failure": "refused"}, {"when": "thing [4-7]", "say": "A"}
    exam = exam_of(tmp_path, **scripted(unusable))
    sx.leaderboard(exam, results=tmp_path / "a")
    assert faults(exam, tmp_path / "a") == [
        f"{two}: 1 of 8 prompts without a score: it has an unusable verdict; {RETRY}" for two in PAIRS
    ]
    judge = {"backend": "scripted", "rules": [failed], "template": "verdict-only"}  # no rule for the others
    exam = exam_of(tmp_path, judges={"fake": judge})
    sx.leaderboard(exam, results=tmp_path / "b")
    assert faults(exam, tmp_path / "b") == [f"{two}: 8 of 16 verdicts by fake have failed; {AGAIN}" for two in PAIRS]
    exam = exam_of(tmp_path, **scripted())
    sx.leaderboard(exam, "base", "sft", results=tmp_path / "c")
    assert faults(exam, tmp_path / "c") == [f"rlhf: 8 of 8 answers are missing; {AGAIN}"]
    sx.leaderboard(exam, "base", "sft", limit=5, results=tmp_path / "d")
    assert faults(exam, tmp_path / "d", "base", "sft") == [
        f"{name}: 3 of 8 answers are missing; {AGAIN}" for name in ("base", "sft", "null")
    ]


# ---------------------------------------------------------------- half a board


def test_a_pair_or_an_order_that_was_never_asked_is_a_fault_of_the_pair(tmp_path: Path) -> None:
    exam = exam_of(tmp_path, **scripted())
    sx.leaderboard(exam, pairs="baseline", results=tmp_path / "a")
    assert faults(exam, tmp_path / "a") == [f"rlhf against sft: 16 of 16 verdicts by fake are missing; {AGAIN}"]
    assert "complete and alike" in check_leaderboard(exam, pairs="baseline", results=tmp_path / "a")
    sx.leaderboard(exam, orders="one", results=tmp_path / "b")
    assert faults(exam, tmp_path / "b") == [f"{two}: 8 of 16 verdicts by fake are missing; {AGAIN}" for two in PAIRS]
    assert "complete and alike" in check_leaderboard(exam, orders="one", results=tmp_path / "b")
    sx.leaderboard(exam, results=tmp_path / "b")
    assert "complete and alike" in check_leaderboard(exam, results=tmp_path / "b")


def test_samples_that_are_missing_are_counted(tmp_path: Path) -> None:
    models = {}
    for name, samples in (("base", 3), ("sft", 1)):
        rows = [{"prompt": f"q{i}", "sample": s, "text": f"{name} {i} {s}"} for i in range(N) for s in range(samples)]
        write_jsonl(tmp_path / f"{name}.jsonl", rows)
        models[name] = {"responses": f"{name}.jsonl"}
    exam = sx.load_suite(
        str(write_suite(tmp_path, N, models, baseline="base", generation={"samples": 3}, **scripted()))
    )
    sx.leaderboard(exam, results=tmp_path)
    file = tmp_path / "sft.jsonl"
    assert faults(exam, tmp_path) == [f"sft: 16 of 24 answers are missing; add what is missing to {file}."]


def test_a_fault_of_many_pairs_is_told_once(tmp_path: Path) -> None:
    names = ("base", "a", "b", "c")
    models = {name: {"responses": answers(tmp_path, name, [f"{name} {i}" for i in range(N)])} for name in names}
    exam = sx.load_suite(str(write_suite(tmp_path, N, models, baseline="base", **scripted())))
    sx.leaderboard(exam, orders="one", results=tmp_path)
    (told,) = faults(exam, tmp_path)
    where = "a against base, b against base, c against base and 4 more, each"
    assert told == f"{where}: 8 of 16 verdicts by fake are missing; {AGAIN}"


def by_each(**more: Any) -> dict[str, Any]:
    """Two judges, the first of which says A where it can, and a third that is made of both."""
    rules = {"small": [{"say": "A"}], "large": [{"say": "B"}]}
    judges = {n: {"backend": "scripted", "rules": said, "template": "verdict-only"} for n, said in rules.items()}
    return {"judges": judges | {"both": {"judges": ["small", "large"]} | more}, "judge": "both"}


PANEL = {"backend": "panel"}
CASCADE = {"backend": "cascade", "calibration": 4, "agreement": 0.5, "error": 0.2}


@pytest.mark.parametrize("how", [PANEL, CASCADE], ids=["panel", "cascade"])
def test_the_judges_of_a_panel_and_a_cascade_are_held_to_what_each_is_asked(
    tmp_path: Path, how: dict[str, Any]
) -> None:
    exam = exam_of(tmp_path, **by_each(**how))
    sx.leaderboard(exam, orders="one", results=tmp_path)
    told = faults(exam, tmp_path)
    assert f"sft against base: 8 of 16 verdicts by small are missing; {AGAIN}" in told
    assert any("verdicts by large are missing" in one for one in told)
    sx.leaderboard(exam, results=tmp_path)
    assert "complete and alike" in check_leaderboard(exam, results=tmp_path)


def test_a_prompt_without_a_verdict_on_file_says_where_to_add_it(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"q{i}", "first": "base", "second": name, "preferred": "second", "rater": "gpt-4"}
        for name in ("sft", "rlhf")
        for i in range(N - (name == "rlhf"))
    ]
    file = str(write_jsonl(tmp_path / "gpt-4.jsonl", rows))
    exam = exam_of(tmp_path)
    sx.leaderboard(exam, judge=file, pairs="baseline", results=tmp_path)
    (told,) = faults(exam, tmp_path, judge=file, pairs="baseline")
    assert told.startswith("rlhf against base: 1 of 8 prompts without a score: it has no verdict; run the command")
    assert told.endswith("or add to the file what is missing.")


def test_where_people_have_not_judged_they_are_to_be_asked(tmp_path: Path) -> None:
    with Store(tmp_path / "ledger.sqlite") as store:
        queue = queue_of(tmp_path, store, prompts=5, scale="five-point", overlap=1, annotators=1)
        who = store.annotators.add("Ann", until(1))
        judging_by(Desk(store, queue), who, lambda item, shown: "left-much", at_most=3)
    exam = sx.load_suite(str(tmp_path / "exam.yaml"))
    sx.leaderboard(exam, judge="humans", results=tmp_path)
    what = "2 of 5 prompts without a score: each has no verdict; let people judge them: sciexam annotate serve."
    assert faults(exam, tmp_path, judge="humans") == [f"sft against base: {what}"]


def test_a_board_that_was_never_made_is_no_board(tmp_path: Path) -> None:
    exam = exam_of(tmp_path, **scripted())
    Store(tmp_path / "ledger.sqlite").close()
    with pytest.raises(GateNotMet, match="run the command without --check"):
        check_leaderboard(exam, results=tmp_path)


def test_answers_to_other_prompts_only_are_another_set(tmp_path: Path) -> None:
    exam = exam_of(tmp_path, leave_out=(0, 1, 2, 3), **scripted())
    half = [{"prompt": f"q{i}", "text": "heat"} for i in range(4)]
    write_jsonl(tmp_path / "base.jsonl", half)
    sx.leaderboard(exam, results=tmp_path)
    told = [one for one in faults(exam, tmp_path) if one.startswith("sft against")]
    what = "the 4 answers of sft are to other prompts than the 4 of base"
    assert told == [f"sft against base: {what}; give both answers to the same prompts."]


@pytest.fixture
def endpoint() -> Any:
    with Endpoint("judge-longer") as server:
        yield server


def by(server: Endpoint, **more: Any) -> dict[str, Any]:
    return {"backend": "openai", "model": "m", "base_url": server.url, "api_key_env": None} | more


def test_several_models_behind_the_answers_of_a_contestant_are_a_fault_of_its_row(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    exam = exam_of(tmp_path, live=by(endpoint), **scripted())
    sx.leaderboard(exam, results=tmp_path)
    assert "complete and alike" in check_leaderboard(exam, results=tmp_path)

    def another(plan: Any, store: Store) -> list[Reply]:
        keys = [one.key for _, one in conversations_of(plan, "sft")][:3]
        return [Reply(key, "Heat.", model="other") for key in keys[:1]] + [
            Reply(key, "Heat.", model="m-2026-01-01") for key in keys[1:]
        ]

    put(exam, tmp_path, another)
    assert faults(exam, tmp_path) == [
        f"sft: 'm' was asked for, but 1 replies came from 'other'; {PIN}",
        f"sft: 'm' answered under several names: 'm' (8), 'm-2026-01-01' (2); these may be different models; {PIN}",
    ]


def test_verdicts_of_another_model_are_a_fault_of_the_rows_that_have_them(tmp_path: Path, endpoint: Endpoint) -> None:
    exam = exam_of(tmp_path, judges={"llm": by(endpoint)})
    sx.leaderboard(exam, results=tmp_path)
    assert "complete and alike" in check_leaderboard(exam, results=tmp_path)

    def another(plan: Any, store: Store) -> list[Reply]:
        told = []
        answered = responses_of(plan, store)
        for contest, model, count in ((("base", "sft"), "m-2026-01-01", 3), (("base", "rlhf"), "other", 2)):
            comparisons = list(pair(plan.prompts, [contest], 1, answered))
            keys = [one.key for c in comparisons for one in presentations_of(plan, plan.raters[0], c, store)]
            told += [Reply(key, "A", model=model) for key in dict.fromkeys(keys)][:count]
        return told

    put(exam, tmp_path, another)
    found = faults(exam, tmp_path)
    assert (
        f"sft: 3 of its verdicts by llm came from 'm-2026-01-01', others of the board's from 'm', which may be another "
        f"model; {PIN}"
    ) in found
    assert f"rlhf: 2 of its verdicts by llm came from 'other', not from 'm'; {PIN}" in found
    assert f"base: 2 of its verdicts by llm came from 'other', not from 'm'; {PIN}" in found


@pytest.mark.parametrize("panel", [False, True], ids=["by arrays", "by records"])
def test_verdicts_of_another_model_are_seen_in_every_pair_of_a_row(
    tmp_path: Path, endpoint: Endpoint, panel: bool
) -> None:
    judges = {"llm": by(endpoint), "second": by(endpoint, model="n"), "two": TWO}
    exam = exam_of(tmp_path, judges=judges, judge="two" if panel else "llm")
    sx.leaderboard(exam, results=tmp_path)

    def another(plan: Any, store: Store) -> list[Reply]:
        answered = responses_of(plan, store)
        (comparison,) = [c for c in pair(plan.prompts, [("sft", "rlhf")], 1, answered) if c.prompt.id == "q1"]
        keys = [one.key for one in presentations_of(plan, plan.raters[0], comparison, store)]
        return [Reply(key, "A", model="other") for key in keys]

    put(exam, tmp_path, another)
    found = [one for one in faults(exam, tmp_path) if "'other'" in one]
    assert {one.partition(":")[0] for one in found} == {"sft", "rlhf"}
    assert all("2 of its verdicts by llm came from 'other', not from 'm'" in one for one in found)


def test_a_judge_that_changed_behind_its_name_is_a_fault_of_every_row(
    tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {name: [f"{name} {i}" + " so" * (i % 5) * k for i in range(60)] for k, name in enumerate(("base", "sft"))}
    models = {name: {"responses": answers(tmp_path, name, said)} for name, said in texts.items()}
    judges = {"llm": by(endpoint, anchors=40)}
    exam = sx.load_suite(str(write_suite(tmp_path, 60, models, baseline="base", judges=judges)))
    for day, reply, limit in (("2026-01-01", judge_longer, 30), ("2026-01-05", judge_first, 60)):
        at = int(datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=UTC).timestamp() * 1000)
        monkeypatch.setattr(ledger, "now", lambda at=at: at)
        endpoint.reply = reply
        sx.leaderboard(exam, limit=limit, results=tmp_path)
    (told,) = faults(exam, tmp_path)
    assert told.startswith("every row: llm has changed: of ")
    assert "verdicts from before and after do not mix" in told


def test_human_verdicts_under_another_rubric_are_a_fault_of_the_pairs_that_have_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("base", "sft", "rlhf")
    with Store(tmp_path / "ledger.sqlite") as store:
        queue = queue_of(tmp_path, store, names, prompts=5, scale="five-point", overlap=1, annotators=1)
        judging_by(Desk(store, queue), store.annotators.add("Ann", until(1)), lambda item, shown: "left-much")
    exam = sx.load_suite(str(tmp_path / "exam.yaml"))
    sx.leaderboard(exam, judge="humans", results=tmp_path)
    told = "The leaderboard of exam by humans is complete and alike: 3 rows, 5 prompts each."
    assert check_leaderboard(exam, judge="humans", results=tmp_path) == told
    other = exam.model_copy(update={"rubric": exam.rubric.model_copy(update={"about": "Something else is good."})})
    reads: list[str] = []
    judgements = Annotations.judgements
    monkeypatch.setattr(Annotations, "judgements", lambda self, queue: reads.append(queue) or judgements(self, queue))
    assert faults(other, tmp_path, judge="humans") == [
        f"{two}: 5 human verdicts were given under another rubric (helpfulness, version 1); "
        "serve a queue under the suite's rubric, or make the board with theirs: --rubric."
        for two in ("sft against base", "rlhf against base", "rlhf against sft")
    ]
    assert len(reads) == 1, "each queue is read once, whatever the number of pairs"


def test_a_null_row_that_nobody_can_judge_is_no_fault(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"q{i}", "first": "base", "second": name, "preferred": "second", "rater": "gpt-4"}
        for name in ("sft", "rlhf")
        for i in range(N)
    ]
    file = str(write_jsonl(tmp_path / "gpt-4.jsonl", rows))
    exam = exam_of(tmp_path)
    sx.leaderboard(exam, judge=file, pairs="baseline", results=tmp_path)
    assert "complete and alike: 3 rows" in check_leaderboard(exam, judge=file, pairs="baseline", results=tmp_path)
