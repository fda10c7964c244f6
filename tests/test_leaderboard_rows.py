"""A leaderboard counted from arrays, with rewards and costs in its rows, for which only what is owed is asked."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import Cli, answers, write_jsonl, write_suite
from endpoint import Body, Endpoint, prompt_of
from sciexam.errors import UsageError
from sciexam.exam import preflight, stored
from sciexam.exam.marking import reward
from sciexam.exam.null_contestant import TEXTS
from sciexam.exam.sitting import judging
from sciexam.report.standings.leaderboard import Leaderboard, Row
from sciexam.report.standings.readme_table import readme_table
from sciexam.stats import Estimate
from test_alpacaeval import ANSWERED, REFERENCE, science

N = 24


def exam_of(folder: Path, names: tuple[str, ...] = ("base", "sft", "rlhf"), samples: int = 1, **more: Any) -> sx.Suite:
    """Answers of different lengths, of which some are missing."""
    models = {}
    for place, name in enumerate(names):
        said = [
            {"prompt": f"q{i}", "sample": s, "text": "because heat flows. " * (1 + (i * (place + 2) + s) % 5)}
            for i in range(N)
            for s in range(samples)
            if (i + place) % 9
        ]
        write_jsonl(folder / f"{name}.jsonl", said)
        models[name] = {"responses": f"{name}.jsonl"}
    generation = {"samples": samples}
    return sx.load_suite(str(write_suite(folder, N, models, baseline="base", generation=generation, **more)))


class Moody:
    """Says anything: sides, probabilities, nothing usable; it does not know what it said before."""

    def __init__(self, repeats: int = 1, sees_order: bool = True, fails: bool = False):
        self.name, self.digest = "moody", f"moody {repeats} {sees_order} {fails}"
        self.repeats, self.sees_order, self._fails = repeats, sees_order, fails
        self.seen: Counter[str] = Counter()

    def judge(self, presentations: Any) -> Iterator[Any]:
        for p in presentations:
            self.seen[p.key] += 1
            draw = int(p.key[:8], 16) % 20
            if draw == 0:
                yield p.verdict(self.name, failure="no verdict")
            elif draw == 1 and self._fails and self.seen[p.key] == 1:
                yield p.verdict(self.name, failure="refused", status="failed")
            elif draw < 6:
                yield p.verdict(self.name, probability_second=draw / 8)
            else:
                longer = "first" if len(p.first) > len(p.second) else "second"
                yield p.verdict(self.name, "tie" if draw == 7 or len(p.first) == len(p.second) else longer)


def alike(one: Any, other: Any, where: str = "board") -> None:
    """The same JSON, numbers to 1e-12."""
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            alike(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        assert len(one) == len(other), where
        for place, (left, right) in enumerate(zip(one, other, strict=True)):
            alike(left, right, f"{where}[{place}]")
    elif isinstance(one, float) and isinstance(other, float):
        assert one == pytest.approx(other, rel=1e-12, abs=1e-12), where
    else:
        assert one == other, where


def row_of(found: Leaderboard, name: str, category: str | None = None) -> Row:
    (standings,) = [one for one in found.standings if one.category == category]
    (row,) = [row for row in standings.rows if row.contestant == name]
    return row


# ---------------------------------------------------------------- arrays and records


@pytest.mark.parametrize(
    ("judge", "how"),
    [
        (Moody(), {}),
        (Moody(repeats=2), {"policy": "conservative", "by": "topic"}),
        (Moody(sees_order=False), {"pairs": "baseline"}),
        (Moody(), {"orders": "one", "samples": 2}),
    ],
    ids=["both orders", "repeats, conservative, groups", "cannot see the order", "one order, two samples"],
)
def test_a_board_of_arrays_is_the_board_of_records(
    judge: Moody, how: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = how.pop("samples", 1)
    exam = exam_of(tmp_path, samples=samples)
    if "by" in how:
        grouped = [
            p.model_copy(update={"group": f"g{i // 3}", "metadata": {"topic": i % 3}})
            for i, p in enumerate(exam.prompts)
        ]
        exam = exam.model_copy(update={"prompts": tuple(grouped)})
    found = sx.leaderboard(exam, judge=judge, results=tmp_path, **how)
    assert found.invalid > 0
    assert found.meetings
    monkeypatch.setattr(stored, "stored_of", lambda *_: None)
    by_records = sx.leaderboard(exam, judge=judge, results=tmp_path, **how)
    alike(found.to_json(), by_records.to_json())


def test_a_meeting_is_the_pair_that_compare_reports(tmp_path: Path) -> None:
    exam, judge = exam_of(tmp_path), Moody()
    found = sx.leaderboard(exam, judge=judge, results=tmp_path)
    report = sx.compare(exam, "base", "sft", "rlhf", judges=[judge], results=tmp_path)
    for meeting in found.meetings:
        if "null" not in (meeting.a, meeting.b):
            same_as(meeting, report.pairs[meeting.a, meeting.b])


def same_as(meeting: Any, pair: Any) -> None:
    """The figures of a pair; at equal length they are those of a fit to all pairs, which a board has more of."""
    assert (meeting.wins, meeting.ties, meeting.losses) == (pair.wins, pair.ties, pair.losses)
    assert (meeting.used, meeting.planned) == (pair.used, pair.planned)
    alike(meeting.win_rate.to_json(), pair.win_rate.to_json())
    alike(meeting.order_consistency.to_json(), pair.order_consistency.to_json())


@pytest.mark.slow
def test_the_board_of_real_verdicts_has_the_figures_of_compare(tmp_path: Path, shared_data: Path) -> None:
    """AlpacaEval's recorded verdicts of GPT-4 on all ten models' answers to the science prompts."""
    for version in ("v1", "v2"):
        folder = tmp_path / version
        folder.mkdir()
        exam = sx.load_suite(str(science(shared_data, folder, version)))
        exam = exam.model_copy(update={"baseline": REFERENCE[version]})
        found = sx.leaderboard(exam, judge="gpt-4", pairs="baseline", results=folder)
        assert [(m.a, m.b) for m in found.meetings] == [(REFERENCE[version], name) for name in ANSWERED[version]]
        report = sx.compare(exam, REFERENCE[version], *ANSWERED[version], judges=["gpt-4"], results=folder)
        for meeting in found.meetings:
            pair = report.pairs[meeting.a, meeting.b]
            same_as(meeting, pair)
            alike(row_of(found, meeting.b).win_rate.to_json(), pair.win_rate.to_json())


def test_a_win_rate_of_fewer_prompts_than_its_row_says_its_own_n(tmp_path: Path) -> None:
    found = sx.leaderboard(exam_of(tmp_path), judge=Moody(), results=tmp_path / "results")
    row = row_of(found, "sft")
    assert isinstance(row.win_rate, Estimate)
    assert row.win_rate.n < row.prompts, "sft met the baseline on fewer prompts than the others together"
    (line,) = [one for one in readme_table(found).splitlines() if "| sft |" in one]
    assert f"{row.win_rate}, n {row.win_rate.n} |" in line
    assert line.endswith(f"| {row.prompts} |")


def test_a_board_of_the_baseline_alone_is_refused_with_its_own_command(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="'base' is the baseline; name another, or none for all of the suite: `sciexam leaderboard"
    ):
        sx.leaderboard(exam_of(tmp_path), "base", results=tmp_path / "results")


def test_who_wins_more_stands_higher(tmp_path: Path) -> None:
    texts = {
        name: ["so " * (1 + place + i % 3 * 2) for i in range(N)] for place, name in enumerate(("base", "sft", "rlhf"))
    }
    models = {name: {"responses": answers(tmp_path, name, said)} for name, said in texts.items()}
    exam = sx.load_suite(str(write_suite(tmp_path, N, models, baseline="base")))
    found = sx.leaderboard(exam, judge=Noisy(), results=tmp_path)
    assert [row.contestant for row in found.rows] == ["rlhf", "sft", "base", "null"]
    ratings = [row.rating.value for row in found.rows[:3] if isinstance(row.rating, sx.Estimate)]
    assert ratings == sorted(ratings, reverse=True)
    assert ratings[2] == 1000
    rate = row_of(found, "rlhf").win_rate
    assert isinstance(rate, sx.Estimate)
    assert rate.low > 0.5


class Noisy(Moody):
    """Prefers the longer answer, but errs one time in eight; the null contestant always loses."""

    def judge(self, presentations: Any) -> Iterator[Any]:
        for p in presentations:
            if p.first in TEXTS or p.second in TEXTS:
                first = p.second in TEXTS
            else:
                first = (len(p.first) > len(p.second)) != (int(p.key[:8], 16) % 8 == 0)
            yield p.verdict(self.name, "first" if first else "second")


# ---------------------------------------------------------------- what is owed


@pytest.fixture
def walked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """The comparisons that a sitting made presentations of, or its preflight keys, one by one."""
    seen: list[tuple[str, str, str]] = []
    for module, name in ((judging, "shown_of"), (preflight, "keys_of")):
        own = getattr(module, name)

        def noting(plan: Any, rater: Any, comparison: Any, store: Any, own: Any = own) -> Any:
            seen.append((comparison.a.contestant, comparison.b.contestant, comparison.prompt.id))
            return own(plan, rater, comparison, store)

        monkeypatch.setattr(module, name, noting)
    return seen


def test_only_comparisons_with_something_owed_are_walked(tmp_path: Path, walked: list[tuple[str, str, str]]) -> None:
    exam, judge = exam_of(tmp_path), Moody()
    sx.leaderboard(exam, "base", "sft", judge=judge, results=tmp_path)
    assert {contest[:2] for contest in walked} == {("base", "sft"), ("base", "null")}
    walked.clear()
    more = sx.leaderboard(exam, judge=judge, results=tmp_path)
    assert {contest[:2] for contest in walked} == {("base", "rlhf"), ("sft", "rlhf")}
    walked.clear()
    again = sx.leaderboard(exam, judge=judge, results=tmp_path)
    assert walked == []
    assert set(judge.seen.values()) == {1}
    alike(again.to_json(), more.to_json())
    at_once = sx.leaderboard(exam, judge=judge, results=tmp_path / "at once")
    alike(again.to_json()["standings"], at_once.to_json()["standings"])


def test_failed_calls_are_asked_for_again_and_nothing_else(tmp_path: Path, walked: list[tuple[str, str, str]]) -> None:
    exam, judge = exam_of(tmp_path), Moody(fails=True)
    first = sx.leaderboard(exam, judge=judge, results=tmp_path)
    assert first.failed > 0
    assert first.incomplete
    walked.clear()
    second = sx.leaderboard(exam, judge=judge, results=tmp_path)
    assert second.failed == 0
    # Two comparisons with the same texts share a call, so that there are fewer of these than failed verdicts.
    assert all(count == (2 if int(key[:8], 16) % 20 == 1 else 1) for key, count in judge.seen.items())
    assert 0 < len(walked) <= first.failed


def test_what_the_ledger_spares_is_counted_and_the_bill_knows_what_replies_cost(tmp_path: Path) -> None:
    with Endpoint("judge-longer") as endpoint:
        judge = {"backend": "openai", "model": "m", "base_url": endpoint.url, "api_key_env": None}
        models = {
            name: {"responses": answers(tmp_path, name, [f"{name} {i}" + " so" * (i % 3 + k) for i in range(N)])}
            for k, name in enumerate(("base", "sft", "rlhf"))
        }
        prices = {"m": {"input": 1, "output": 2}}
        path = write_suite(tmp_path, N, models, baseline="base", judges={"gpt": judge}, prices=prices)
        exam = sx.load_suite(str(path))
        told: list[preflight.Owed] = []
        first = sx.leaderboard(exam, "base", "sft", limit=8, results=tmp_path, preflight=told.append)
        asked = endpoint.requests
        assert (first.calls.made, first.calls.reused, told.pop().calls) == (asked, 0, asked)
        more = sx.leaderboard(exam, limit=8, results=tmp_path, preflight=told.append)
        owed = told.pop()
        assert (more.calls.made, more.calls.reused, owed.calls) == (endpoint.requests - asked, asked, more.calls.made)
        assert owed.bill is not None
        assert owed.bill.measured
        again = sx.leaderboard(exam, limit=8, results=tmp_path, preflight=told.append)
        assert (again.calls.made, again.calls.reused, told.pop().calls) == (0, endpoint.requests, 0)


def test_the_number_of_samples_is_that_of_the_whole_board_whatever_is_owed(tmp_path: Path) -> None:
    with Endpoint("judge-longer") as endpoint:
        models: dict[str, Any] = {"base": {"responses": answers(tmp_path, "base", [f"base {i}" for i in range(6)])}}
        for name in ("sft", "rlhf"):
            own = {"backend": "openai", "model": name, "base_url": endpoint.url, "api_key_env": None}
            models[name] = own | {"generation": {"samples": 4, "temperature": 1.0}}
        exam, judge = sx.load_suite(str(write_suite(tmp_path, 6, models, baseline="base"))), Moody()
        sx.leaderboard(exam, judge=judge, pairs="baseline", results=tmp_path)
        assert endpoint.requests == 12, "one answer of each to each prompt, as many as base gives"
        sx.leaderboard(exam, judge=judge, results=tmp_path)
        assert endpoint.requests == 12
        assert sum(judge.seen.values()) == 6 * (2 + 3)  # in one order; the null contestant meets base alone


# ---------------------------------------------------------------- rewards and costs


def with_rewards(folder: Path, **judges: Any) -> sx.Suite:
    exam = exam_of(folder, judges={"measures": {"backend": "measures"}} | judges)
    rows = [
        {"prompt": f"q{i}", "model": name, "reward": 0.1 * i**1.5 * (1 + place) - 3, "rater": rater}
        for place, name in enumerate(("base", "sft"))
        for rater in ("rm", "other")
        for i in range(0, N, 2 if rater == "rm" else 3)
    ]
    write_jsonl(folder / "two.jsonl", rows)
    write_jsonl(folder / "rm.jsonl", [row for row in rows if row["rater"] == "rm"])
    return exam


def test_rewards_stand_in_the_rows_as_the_reward_command_has_them(tmp_path: Path) -> None:
    exam = with_rewards(tmp_path, rm={"backend": "rewards", "rewards": "rm.jsonl"})
    found = sx.leaderboard(exam, judge="measures", results=tmp_path)
    assert found.reward_model == "rm"
    for expected in reward(exam, model="rm", results=tmp_path).rows:
        row = row_of(found, expected.contestant)
        if isinstance(expected.distribution, sx.Undefined):
            assert row.contestant == "rlhf"
            assert (row.reward, row.reward_sd) == (sx.Undefined("no reward of it is in the ledger"), None)
        else:
            alike(row.reward.to_json(), expected.distribution.mean.to_json())
            assert row.reward_sd == pytest.approx(expected.distribution.sd, rel=1e-12)
    assert isinstance(row_of(found, "null").reward, sx.Undefined)
    whole = found.tables()[0]
    assert whole.head[6:8] == ("reward", "sd")
    assert "Reward: the mean over prompts by rm, and its standard deviation." in whole.notes
    lines = {(one["category"], one["contestant"]): one for one in csv.DictReader(io.StringIO(found.to_csv()))}
    figure = row_of(found, "sft", "c0").reward
    assert isinstance(figure, sx.Estimate)
    line = lines["c0", "sft"]
    assert [line[f"reward{end}"] for end in ("", "_low", "_high")] == [
        str(x) for x in (figure.value, figure.low, figure.high)
    ]
    assert line["reward_sd"] == str(row_of(found, "sft", "c0").reward_sd)
    assert line["usd"] == ""


def test_rewards_of_a_category_are_those_of_its_prompts(tmp_path: Path) -> None:
    exam = with_rewards(tmp_path, rm={"backend": "rewards", "rewards": "two.jsonl"})
    found = sx.leaderboard(exam, judge="measures", reward="other", results=tmp_path)
    assert found.reward_model == "other"
    for category, odd in (("c0", 0), ("c1", 1)):
        mean = row_of(found, "sft", category).reward
        values = [0.2 * i**1.5 - 3 for i in range(0, N, 3) if i % 2 == odd and (i + 1) % 9]
        assert isinstance(mean, sx.Estimate)
        assert (mean.value, mean.n) == (pytest.approx(sum(values) / len(values)), len(values))


@pytest.mark.slow
def test_rewards_of_a_reward_model_of_the_lineage_stand_in_the_rows_where_it_is_named(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    import checkpoints
    from sciexam.lineage.stages import Reward

    rm = {"from": "sft", "stage": "reward", "data": "pairs.jsonl", "weights": str(checkpoints.reward(tmp_path / "rm"))}
    exam = exam_of(tmp_path).with_models({"rm": Reward.model_validate(rm)})
    reward(exam, "base", "sft", model="rm", results=tmp_path)
    assert sx.leaderboard(exam, judge="measures", results=tmp_path).reward_model is None
    found = sx.leaderboard(exam, judge="measures", reward="rm", results=tmp_path)
    assert found.reward_model == "rm"
    assert isinstance(row_of(found, "sft").reward, Estimate)


def test_a_reward_model_that_is_none_is_refused_before_anybody_is_asked(sciexam: Cli, tmp_path: Path) -> None:
    exam, judge = with_rewards(tmp_path, models={"backend": "rewards", "rewards": "two.jsonl"}), Moody()
    for name, told in (
        ("model", "--reward: 'model' is no reward model of the suite; did you mean 'models'?"),
        ("models", "--reward: 'models' holds the rewards of rm, other; name one of them"),
    ):
        with pytest.raises(UsageError) as raised:
            sx.leaderboard(exam, judge=judge, reward=name, results=tmp_path)
        assert str(raised.value) == told
    assert not judge.seen
    done = sciexam("leaderboard", "-s", "exam.yaml", "-j", "measures", "--reward", "rm.jsonl", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["reward_model"] == "rm"


def test_rewards_that_cannot_be_read_leave_the_board_as_it_is_and_their_file_private(
    sciexam: Cli, tmp_path: Path
) -> None:
    exam_of(tmp_path, judges={"measures": {"backend": "measures"}, "rm": {"backend": "rewards", "rewards": "x.jsonl"}})
    write_jsonl(tmp_path / "x.jsonl", [{"prompt": "q0", "model": "base", "reward": "a secret"}])
    done = sciexam("leaderboard", "-s", "exam.yaml", "-j", "measures", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["reward_model"] is None
    assert "No rewards of rm stand in the rows; `sciexam reward` says why." in found["caveats"]
    assert "x.jsonl:1: reward: input should be a valid number, not 'a secret'" in done.stderr
    site = tmp_path / "results" / "exam" / "leaderboard"
    (run,) = set(site.parent.iterdir()) - {site}
    for path in [*site.rglob("*.*"), *run.glob("leaderboard.*")]:
        assert not any(kept in path.read_text() for kept in ("x.jsonl", "a secret", str(tmp_path))), path


def test_a_row_says_what_a_thousand_answers_cost(tmp_path: Path) -> None:
    def answer(body: Body) -> dict[str, Any]:
        number = int("".join(filter(str.isdigit, prompt_of(body))))
        usage = {"prompt_tokens": 100 + number, "completion_tokens": 10}
        choice = {"index": 0, "message": {"role": "assistant", "content": f"A {number}"}, "finish_reason": "stop"}
        return {"id": "1", "object": "chat.completion", "model": body["model"], "choices": [choice], "usage": usage}

    with Endpoint(answer) as endpoint:
        models = {
            name: {"backend": "openai", "model": name, "base_url": endpoint.url, "api_key_env": None}
            for name in ("dear", "free")
        }
        models["base"] = {"responses": answers(tmp_path, "base", ["Heat."] * N)}
        prices = {"dear": {"input": 2.0, "output": 5.0}}
        exam = sx.load_suite(str(write_suite(tmp_path, N, models, baseline="base", prices=prices)))
        found = sx.leaderboard(exam, judge="measures", results=tmp_path)
    each = [(100 + i) * 2.0 / 1e6 + 10 * 5.0 / 1e6 for i in range(N)]
    assert row_of(found, "dear").usd == pytest.approx(1000 * sum(each) / N)
    assert row_of(found, "dear", "c1").usd == pytest.approx(1000 * sum(each[1::2]) / (N / 2))
    assert [row_of(found, name).usd for name in ("base", "free", "null")] == [None, None, None]
    assert any("USD" in table.head for table in found.tables())
