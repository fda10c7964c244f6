"""Reward models as graders: recorded rewards with their faults, and a reward model behind a real endpoint."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from endpoint import Body, Endpoint
from sciexam.errors import DocumentError, EndpointRefused, UsageError
from sciexam.judges import compares_by_grades, open_grader, open_judge
from sciexam.judges.rewards import read_rewards
from sciexam.judges.settings import RewardJudge, RewardsJudge
from sciexam.models.replies import Fault
from sciexam.models.scoring import read_reward
from sciexam.models.spending import Budget, Price
from sciexam.models.terms import Terms
from sciexam.rubric import Rubric
from sciexam.types import Grade, Message, Prompt, Reply, Submission

RUBRIC = Rubric.model_validate({"rubric": "r", "criteria": [{"name": "c", "question": "q"}]})


def line(prompt: str = "p1", model: str = "sft", reward: Any = 1.5, **more: Any) -> str:
    return json.dumps({"prompt": prompt, "model": model, "reward": reward} | more)


def file(folder: Path, *lines: str) -> Path:
    path = folder / "rm.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def submission(prompt: str = "p1", by: str = "sft", text: str = "x", sample: int = 0, number: int = 0) -> Submission:
    asked = Prompt(id=prompt, messages=(Message(role="user", content="Why?"),))
    return Submission(asked, text, sample=sample, key=f"{number:064x}", seal="0" * 32, by=by)


def faults(path: Path) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        read_rewards(path)
    return [fault.removeprefix(str(path)) for fault in caught.value.faults]


# ---------------------------------------------------------------- recorded


def test_each_rater_of_a_file_is_a_grader_and_what_it_does_not_hold_is_skipped(tmp_path: Path) -> None:
    path = file(tmp_path, line(rater="rm"), line(reward=-3, rater="other"), "", line(sample=1, reward=7, rater="rm"))
    first, second = read_rewards(path)
    assert (first.name, second.name) == ("rm", "other")
    assert first.digest != second.digest
    asked = [submission(), submission(sample=1), submission(by="base"), submission(prompt="p2")]
    assert [(g.status, g.score, g.failure) for g in first.grade(asked)] == [
        ("ok", 1.5, ""),
        ("ok", 7.0, ""),
        ("skipped", None, "no recorded reward"),
        ("skipped", None, "no recorded reward"),
    ]
    assert [g.score for g in second.grade(asked)] == [-3.0, None, None, None]
    assert first.strangers({"p1"}, {"base"}) == ["sft"]


@pytest.mark.parametrize("reward", ["NaN", "Infinity", "-Infinity", "null", "1e999"])
def test_a_reward_that_is_not_finite_was_given_and_is_no_number(tmp_path: Path, reward: str) -> None:
    (one,) = read_rewards(file(tmp_path, line().replace("1.5", reward)))
    (found,) = one.grade([submission()])
    assert (found.status, found.failure, found.score) == ("invalid", "not finite", None)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([line(), line(reward=2)], [":2: 'recorded' rewarded this already in line 1; number them with 'sample'"]),
        ([line(reward="high")], [":1: reward: input should be a valid number, not 'high'"]),
        ([line(reward="1.5")], [":1: reward: input should be a valid number, not '1.5'"]),
        ([line(reward=True)], [":1: reward: input should be a valid number, not True"]),
        ([line(reward=1e101)], [":1: reward: a reward larger than 1e+100 in size cannot be counted with"]),
        ([line(), '{"prompt": "p1", "model": "m"}'], [":2: reward: this key is missing"]),
        ([line(sample=-1)], [":1: sample: input should be greater than or equal to 0, not -1"]),
        ([line(reward="a"), line(reward="b")], [":1: reward: input", ":2: reward: input"]),
        (["[1]"], [":1: each line must be an object {...}"]),
        (
            [line(), '{"prompt": '],
            [":2: the line ends in the middle of its JSON; is a quote or brace"],
        ),
        ([""], [": holds no rewards"]),
    ],
)
def test_a_fault_of_a_file_is_told_with_its_line(tmp_path: Path, lines: list[str], said: list[str]) -> None:
    found = faults(file(tmp_path, *lines))
    assert len(found) == len(said)
    assert all(fault.startswith(start) for fault, start in zip(found, said, strict=True)), found


def test_a_file_that_is_no_text_and_one_that_is_not_there_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "rm.jsonl").write_bytes(b'{"prompt": "\xff"}\n')
    assert faults(tmp_path / "rm.jsonl") == [":1: not UTF-8 (byte 0xff); save the file as UTF-8"]
    with pytest.raises(UsageError, match=r"absent\.jsonl: no such file or directory$"):
        read_rewards(tmp_path / "absent.jsonl")


def test_an_edited_file_is_another_grader(tmp_path: Path) -> None:
    (before,) = read_rewards(file(tmp_path, line()))
    (after,) = read_rewards(file(tmp_path, line(reward=2)))
    assert before.digest != after.digest


def test_rewards_compare_by_their_scores_and_are_no_verdicts(tmp_path: Path) -> None:
    spec = RewardsJudge(backend="rewards", rewards=str(file(tmp_path, line())))
    assert compares_by_grades(spec)
    assert compares_by_grades(RewardJudge(backend="reward", model="m", base_url="http://127.0.0.1:1"))
    with pytest.raises(UsageError, match="judge 'rm' marks answers one by one: it has rewards, and no verdicts"):
        open_judge("rm", spec, RUBRIC)


# ---------------------------------------------------------------- behind an endpoint


def pooled(*rewards: Any, **more: Any) -> Body:
    """The body with which vLLM answers /pooling for one conversation."""
    item = {"index": 0, "object": "pooling", "data": list(rewards)}
    usage = {"prompt_tokens": 9, "total_tokens": 9, "completion_tokens": 0}
    return {"id": "pool-1", "object": "list", "created": 1, "model": "rm", "data": [item], "usage": usage} | more


def by_length(body: Body) -> Body:
    """The longer the answer, the higher the reward."""
    return pooled(len(body["messages"][-1]["content"]) / 8)


def grades(endpoint: Endpoint, *submissions: Submission, max_wait: float = 5.0, **more: Any) -> list[Grade]:
    spec = {"backend": "reward", "model": "rm", "base_url": endpoint.url, **more}
    (one,) = open_grader("rm", RewardJudge.model_validate(spec), RUBRIC, Terms(max_wait))
    return sorted(one.grade(submissions), key=lambda grade: grade.key)


def test_a_reward_model_is_sent_the_conversation_with_the_answer_last_and_asked_for_the_number_itself() -> None:
    with Endpoint(by_length) as endpoint:
        found = grades(endpoint, *(submission(text="x" * n, number=n) for n in range(1, 4)))
        assert [(g.status, g.score, g.rater) for g in found] == [("ok", n / 8, "rm") for n in range(1, 4)]
        assert found[0].reply is not None
        assert (found[0].reply.input_tokens, found[0].reply.output_tokens) == (9, 0)
        by_text = {body["messages"][-1]["content"]: body for body in endpoint.received}
        assert by_text["xx"] == {
            "model": "rm",
            "messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "xx"}],
            "task": "classify",
            "use_activation": False,
            "add_generation_prompt": False,
        }
        assert set(endpoint.authorizations) == {"Bearer none"}, "no key was named, and none is sent"


def test_of_a_model_with_a_number_a_token_the_last_one_is_the_reward() -> None:
    with Endpoint(lambda body: pooled([0.1], [0.9], [-0.5])) as endpoint:
        (found,) = grades(endpoint, submission(), task="token_classify")
        assert found.score == -0.5
        assert endpoint.received[0]["task"] == "token_classify"
        (found,) = grades(endpoint, submission())
        assert (found.status, found.score) == ("failed", None), "not asked for a number a token, it is no reward"
        assert found.failure.startswith("endpoint did not answer with one reward: ")


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, None])
def test_a_reward_that_is_not_finite_is_invalid_and_kept_apart(number: float | None) -> None:
    with Endpoint(lambda body: pooled(number)) as endpoint:
        (found,) = grades(endpoint, submission())
        assert (found.status, found.failure, found.score) == ("invalid", "not finite", None)


def test_a_reward_beyond_counting_is_invalid() -> None:
    with Endpoint(lambda body: pooled(1e101)) as endpoint:
        (found,) = grades(endpoint, submission())
        assert (found.status, found.failure, found.score) == ("invalid", "larger than 1e+100 in size", None)


@pytest.mark.parametrize(
    "body",
    [
        pooled(0.1, 0.9),  # two classes are no reward
        pooled(),
        pooled("1.5"),
        pooled(True),
        pooled(1.0, data=[]),
        pooled(1.0, data=[{"data": [1.0]}, {"data": [2.0]}]),
        {"choices": [{"message": {"content": "5"}}]},
    ],
)
def test_a_body_without_exactly_one_reward_is_a_failed_call(body: Body) -> None:
    with Endpoint(lambda asked: body) as endpoint:
        (found,) = grades(endpoint, submission())
        assert (found.status, found.score) == ("failed", None)
        assert found.failure.startswith("endpoint did not answer with one reward: ")


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["data", "index", "usage"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.one_of(st.binary(max_size=40), JSON.map(lambda value: json.dumps(value).encode())))
@example(b'{"data": [{"data": [1' + b"0" * 400 + b"]}]}")
@example(b"[" * 5000)
def test_no_body_becomes_a_reward_but_one_number_in_one_item(body: bytes) -> None:
    found = read_reward(body, "classify")
    if isinstance(found, Reply):
        value = json.loads(body)
        ((number,),) = [item["data"] for item in value["data"]]
        assert number is None or (isinstance(number, (int, float)) and not isinstance(number, bool))
        assert found.text == repr(math.nan if number is None else math.inf if abs(number) > 1e308 else float(number))
    else:
        assert isinstance(found, Fault)


def test_what_may_pass_is_asked_again_and_what_does_not_is_a_failed_grade() -> None:
    with Endpoint(by_length, faults=["500", "reset", "429", None]) as endpoint:
        (found,) = grades(endpoint, submission(text="x" * 8))
        assert (found.status, found.score) == ("ok", 1.0)
        assert endpoint.requests == 4
    with Endpoint(by_length, faults={"too_long": 1.0}) as endpoint:
        (found,) = grades(endpoint, submission())
        assert (found.status, found.failure[:8]) == ("failed", "too-long")


def test_a_redirect_is_not_followed_and_a_wrong_key_is_refused_without_being_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RM_KEY", "sk-abcdefgh12345678")
    with (
        Endpoint(by_length, faults={"redirect": 1.0}) as endpoint,
        pytest.raises(EndpointRefused, match=r"redirects to http://127\.0\.0\.1:9, which is not followed"),
    ):
        grades(endpoint, submission(), api_key_env="RM_KEY")
    with Endpoint(by_length, key="another") as endpoint, pytest.raises(EndpointRefused) as caught:
        grades(endpoint, submission(), api_key_env="RM_KEY")
    assert "refuses (401)" in str(caught.value)
    assert "sk-abcdefgh12345678" not in str(caught.value)
    with Endpoint(by_length, key="sk-abcdefgh12345678") as endpoint:
        assert [g.score for g in grades(endpoint, submission(), api_key_env="RM_KEY")] == [1 / 8]


def test_an_address_without_the_path_is_refused_with_what_to_start_there() -> None:
    with Endpoint(by_length) as endpoint, pytest.raises(EndpointRefused) as caught:
        grades(endpoint, submission(), base_url=endpoint.url + "/elsewhere")
    assert "/elsewhere/pooling refuses (404): " in str(caught.value)
    assert "a server that serves /pooling (vllm serve MODEL --runner pooling)" in str(caught.value)


def test_a_reward_model_spends_from_the_budget_and_stops_with_it() -> None:
    price = Price(input=100.0, output=1000.0)
    worst = price.at_most([{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "x" * 8}], 0)
    terms = Terms(prices={"rm": price}, budget=Budget(1.5 * worst))
    with Endpoint(by_length, faults=["500", None, None, None, None, None]) as endpoint:
        spec = RewardJudge(backend="reward", model="rm", base_url=endpoint.url, concurrency=1)
        (one,) = open_grader("rm", spec, RUBRIC, terms)
        found = list(one.grade([submission(text="x" * 8, number=n) for n in range(200)]))
        billed = sum(price.of(*tokens) or 0.0 for tokens in endpoint.billed.values())
    assert 0 < len(found) < 200
    assert terms.over_budget
    assert 0 < billed <= terms.budget.spent <= terms.budget.usd  # type: ignore[union-attr]


def test_a_pasted_key_is_not_repeated_and_a_remote_endpoint_without_its_key_is_refused_before_a_call() -> None:
    with pytest.raises(ValueError, match="is no name of an environment variable") as caught:
        RewardJudge(backend="reward", model="m", base_url="http://127.0.0.1:1", api_key_env="sk-abc def")
    assert "a key itself never goes into a file" in str(caught.value)
    spec = RewardJudge(backend="reward", model="m", base_url="https://rm.example.com", api_key_env="RM_ABSENT_KEY")
    (one,) = open_grader("rm", spec, RUBRIC)
    with pytest.raises(UsageError, match=r"^rm\.example\.com: no key for the model 'm'; set RM_ABSENT_KEY$"):
        one.check_ready()  # type: ignore[attr-defined]


def test_the_digest_names_model_revision_task_and_place() -> None:
    def of(**more: Any) -> str:
        spec = {"backend": "reward", "model": "m", "base_url": "http://127.0.0.1:1"} | more
        (one,) = open_grader("rm", RewardJudge.model_validate(spec), RUBRIC)
        return str(one.digest)  # type: ignore[attr-defined]

    assert of() == of(base_url="http://127.0.0.1:1/v1"), "/pooling lies beside /v1"
    assert of() == of(concurrency=2, timeout=5.0, tie_within=0.5, api_key_env="RM_KEY")
    changed = [of(model="n"), of(revision="2"), of(task="token_classify"), of(base_url="http://127.0.0.1:2"), of()]
    assert len({*changed, of(system="You judge.")}) == 6
