"""A verdict weighed by the probabilities of its words: p by hand, in the ledger, and never made up."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sciexam as sx
from conftest import Cli, answers, write_suite
from endpoint import Body, Endpoint, answers_of, prompt_of
from sciexam.errors import EndpointRefused, UsageError
from sciexam.judges import open_judge
from sciexam.judges.pairwise import PairwiseJudge
from sciexam.judges.parsing import probability_second
from sciexam.judges.rendering import JudgeTemplate
from sciexam.judges.settings import ScriptedJudge
from sciexam.rubric import Rubric, load_rubric
from sciexam.types import Conversation, Message, Presentation, Prompt, Reply, Verdict, side_of

RUBRIC = load_rubric("science-explanation")
NO_TIES = RUBRIC.model_copy(update={"ties": False})
NAMES = ("m", "M")


def logs(**shares: float) -> dict[str, float]:
    """Log probabilities by token; `eq` stands for the token =."""
    return {name.replace("eq", "="): math.log(share) for name, share in shares.items()}


# ---------------------------------------------------------------- p by hand


def test_a_tie_counts_half_and_other_words_count_nothing() -> None:
    place = logs(B=0.5, A=0.2, eq=0.1, The=0.15, C=0.05)
    # (0.5 + 0.1 / 2) / (0.5 + 0.2 + 0.1)
    assert probability_second([place], "B") == pytest.approx(0.6875)


def test_where_the_rubric_allows_no_tie_its_word_does_not_count() -> None:
    assert probability_second([logs(B=0.5, A=0.2, eq=0.3)], "B", ties=False) == pytest.approx(5 / 7)


def test_all_tokens_that_are_one_word_but_for_white_space_are_added() -> None:
    place = {"A": math.log(0.3), " A": math.log(0.1), "A\n": math.log(0.05), " B": math.log(0.2), "B.": math.log(0.3)}
    assert probability_second([place], "A") == pytest.approx(0.2 / 0.65)


def test_alpacaevals_names_differ_by_case_alone() -> None:
    """methods: p = 2 - P(m), normalised over the two tokens; here p - 1, the probability of the second."""
    place = logs(M=0.6, m=0.2, A=0.2)
    preference = 2 - 0.2 / (0.2 + 0.6)
    assert probability_second([place], "M", NAMES) == pytest.approx(preference - 1)
    assert probability_second([place], "M") is None, "not a word of the letter form"


def test_the_place_is_where_the_word_was_taken_and_not_where_it_was_likely() -> None:
    places = [logs(A=0.4, B=0.6), {"</think>": -0.1, "A": -0.2}, {"\n": -0.7, "B": -0.8, "A": -9.0}, logs(B=0.9, A=0.1)]
    assert probability_second([*places, {"<|end|>": 0.0, "A": -20.0}], "B") == pytest.approx(0.9)


@pytest.mark.parametrize("token", ["\u2581B", "B.", "x"])
def test_a_word_in_a_thought_is_not_the_verdict_where_the_verdicts_token_is_not_the_word(token: str) -> None:
    places = [logs(B=0.9, A=0.1), {"</think>": -0.1, "x": -3.0}, {"\n": -0.1, "A": -3.0}, {token: -0.1, "A": -3.0}]
    assert probability_second([*places, {"</s>": 0.0, "B": -9.0}], "B") is None


@pytest.mark.parametrize(
    "places", [[], [{}], [logs(A=0.5, B=0.5)], [{"B": -1e9, "A": -1e9}], [{"B": math.nan, "A": -1.0}]]
)
def test_a_word_without_a_probability_has_none(places: list[Mapping[str, float]]) -> None:
    assert probability_second(places, "B") is None


@given(
    st.dictionaries(st.sampled_from(["A", " A", "B", "B ", "=", "x"]), st.floats(-50, 1e-3), min_size=1), st.booleans()
)
def test_it_is_a_probability_and_mirrored_when_the_words_are(place: dict[str, float], ties: bool) -> None:
    said = next(iter(place))
    swapped = {token.translate({65: 66, 66: 65}): value for token, value in place.items()}
    one = probability_second([place], said.strip(), ties=ties)
    other = probability_second([swapped], next(iter(swapped)).strip(), ties=ties)
    if one is None or other is None:
        assert one is other
        assert said == "x" or (said == "=" and not ties)
    else:
        assert 0 <= one <= 1
        assert one + other == pytest.approx(1)


# ---------------------------------------------------------------- the judge


class Telling:
    """Says one word, with these probabilities; notes how it was asked."""

    digest = "telling"

    def __init__(self, text: str, *places: Mapping[str, float], **fields: Any):
        self.reply = {"text": text, "logprobs": places or None, "finish_reason": "stop"} | fields
        self.asked: list[Conversation] = []

    def generate(self, conversations: Iterable[Conversation]) -> Iterator[Reply]:
        for conversation in conversations:
            self.asked.append(conversation)
            yield Reply(conversation.key, **self.reply)


def judged(model: Any, template: str = "verdict-only", rubric: Rubric = RUBRIC) -> Verdict:
    one = PairwiseJudge("llm", model, JudgeTemplate(template, None, rubric), 64, probabilities=True)
    prompt = Prompt(id="q", messages=(Message(role="user", content="Why?"),))
    verdict, *again = one.judge([Presentation(prompt, "one", "two", "ab", key="k", seal="0" * 32)])
    assert [v.failure for v in again] == ["truncated"] * (verdict.failure == "truncated")
    return verdict


def test_the_side_is_the_one_the_probabilities_lean_to_whatever_word_was_taken() -> None:
    model = Telling("A", logs(A=0.3, B=0.45, eq=0.05))
    verdict = judged(model)
    assert (verdict.status, verdict.preferred, verdict.strength) == ("ok", "second", None)
    assert verdict.probability_second == pytest.approx(0.475 / 0.8)
    assert [conversation.top_logprobs for conversation in model.asked] == [5]
    assert model.asked[0].max_tokens is None, "the model's own limit"


def test_even_odds_are_a_tie() -> None:
    verdict = judged(Telling("=", {"=": -0.5, "A": -1.5, "B": -1.5}))
    assert (verdict.preferred, verdict.probability_second) == ("tie", 0.5)


def test_alpacaevals_judge_is_weighed_by_its_own_words() -> None:
    verdict = judged(Telling("m", logs(m=0.9, M=0.1)), "alpacaeval")
    assert verdict.probability_second == pytest.approx(0.1)
    assert verdict.preferred == "first"


@pytest.mark.parametrize(
    ("text", "rubric", "failure"),
    [
        ("A.", RUBRIC, "not one of the verdict letters"),
        ("A is better", RUBRIC, "not one of the verdict letters"),
        ("=", NO_TIES, "tie: the rubric allows none"),
        ("B", RUBRIC, "no probability of its word"),
    ],
)
def test_a_reply_that_is_no_word_of_the_form_stays_invalid(text: str, rubric: Rubric, failure: str) -> None:
    verdict = judged(Telling(text, logs(A=0.5, eq=0.5)), rubric=rubric)
    assert (verdict.status, verdict.failure, verdict.preferred, verdict.probability_second) == (
        *("invalid", failure, None, None),
    )


def test_a_reply_that_failed_or_was_cut_needs_no_probabilities() -> None:
    assert judged(Telling("", status="failed", failure="timeout")).failure == "timeout"
    assert judged(Telling("A", finish_reason="length")).failure == "truncated"


def test_a_model_that_tells_none_ends_the_judging_and_says_what_to_type() -> None:
    with pytest.raises(EndpointRefused) as caught:
        judged(Telling("A"))
    assert str(caught.value) == (
        "judges.llm.probabilities: a reply came without token probabilities, and no more was asked; write "
        "`probabilities: false` there in the suite, or name an endpoint that gives them; --retry-invalid asks "
        "again for the replies that came without"
    )


@given(st.dictionaries(st.sampled_from(["A", "B", "="]), st.floats(-30, 0), min_size=1))
def test_what_is_preferred_agrees_with_the_probability(place: dict[str, float]) -> None:
    verdict = judged(Telling(next(iter(place)), place))
    assert verdict.probability_second is not None
    assert verdict.preferred == side_of(verdict.probability_second)


# ---------------------------------------------------------------- opening, keys


def spec(**more: Any) -> ScriptedJudge:
    return ScriptedJudge.model_validate({"backend": "scripted", "rules": [{"say": "A"}]} | more)


@pytest.mark.parametrize("template", ["reason", "json", "mt-bench"])
def test_a_form_of_more_than_one_word_cannot_be_weighed(template: str) -> None:
    form = JudgeTemplate(template, None, RUBRIC).form
    with pytest.raises(UsageError) as caught:
        open_judge("llm", spec(template=template, probabilities=True), RUBRIC)
    assert str(caught.value) == (
        f"judge 'llm': `probabilities: true` needs a verdict of one word, not the form {form!r}; write "
        "`template: verdict-only`, or `verdict: letter` with a template that asks for A, B or ="
    )


def test_the_setting_is_part_of_the_key_only_where_it_is_on() -> None:
    def digest(**more: Any) -> str:
        (one,) = open_judge("llm", spec(template="verdict-only", **more), RUBRIC)
        assert isinstance(one, PairwiseJudge)
        return one.digest

    assert digest() == digest(probabilities=False) != digest(probabilities=True)


# ---------------------------------------------------------------- a whole exam against a real server


def suite(folder: Path, server: Endpoint | None, **judge: Any) -> str:
    models = {
        who: {"responses": answers(folder, who, [f"{who} says {i}." for i in range(4)])} for who in ("base", "sft")
    }
    backend = {"backend": "scripted", "rules": [{"say": "A"}]}
    if server is not None:
        backend = {"backend": "openai", "model": "m-1", "base_url": server.url, "api_key_env": None}
    weighed = backend | {"template": "verdict-only", "probabilities": True} | judge
    return str(write_suite(folder, 4, models, judges={"llm": weighed}))


def weighing(shape: str) -> Any:
    """Thinks sft's answer better with 0.8 against 0.1, wherever it stands, and equal with 0.1."""

    def reply(body: Body) -> Body:
        first, _ = answers_of(prompt_of(body))
        shares = logs(A=0.8, eq=0.1, B=0.1) if first.startswith("sft") else logs(B=0.8, eq=0.1, A=0.1)
        word = next(iter(shares))
        if shape == "chat":
            listed = [{"token": token, "logprob": value} for token, value in shares.items()]
            told: Body = {"content": [listed[0] | {"top_logprobs": listed}]}
            choice: Body = {"message": {"role": "assistant", "content": word}}
        else:
            told = {"tokens": [word], "token_logprobs": [shares[word]], "top_logprobs": [shares]}
            choice = {"text": word}
        return {"choices": [choice | {"index": 0, "finish_reason": "stop", "logprobs": told}], "model": "m-1"}

    return reply


@pytest.mark.parametrize("shape", ["chat", "plain"])
def test_the_win_rate_is_the_mean_of_the_probabilities_in_both_shapes(tmp_path: Path, shape: str) -> None:
    more = {} if shape == "chat" else {"chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}"}
    with Endpoint(weighing(shape)) as server:
        path = suite(tmp_path, server, **more)
        report = sx.compare(sx.load_suite(path), "base", "sft", judges=["llm"], results=tmp_path / "results")
        assert server.requests == 8
        again = sx.compare(sx.load_suite(path), "base", "sft", judges=["llm"], results=tmp_path / "results")
        assert server.requests == 8, "what was weighed is known"
    (pair,) = report.pairs
    assert isinstance(pair.win_rate, sx.Estimate)
    assert pair.win_rate.value == pytest.approx(0.85)  # 0.8 + 0.1 / 2
    assert (pair.wins, pair.used, pair.invalid) == (4, 4, 0)
    assert again.pairs["base", "sft"].win_rate == pair.win_rate
    with sqlite3.connect(tmp_path / "results" / "ledger.sqlite") as raw:
        stored = [row[0] for row in raw.execute("SELECT probability_second FROM verdicts ORDER BY 1")]
    assert stored == pytest.approx([0.15] * 4 + [0.85] * 4)


def test_on_the_command_line_a_judge_without_probabilities_ends_with_2_and_nothing_is_made_up(
    tmp_path: Path, sciexam: Cli
) -> None:
    with Endpoint(lambda body: "A", latency=0.05) as server:
        done = sciexam("compare", "base", "sft", "--judge", "llm", "--suite", suite(tmp_path, server))
    assert done.returncode == 2
    assert server.requests == 1, "one call is made by itself, before any others"
    said = " ".join(done.stderr.split())
    assert "judges.llm.probabilities: a reply came without token probabilities, and no more was asked" in said
    with sqlite3.connect(tmp_path / "results" / "ledger.sqlite") as raw:  # what was paid for is kept, as no verdict
        kept = raw.execute("SELECT preferred, probability_second FROM verdicts").fetchall()
    assert len(kept) == server.requests
    assert set(kept) == {(None, None)}


def test_on_the_command_line_a_scripted_judge_cannot_be_weighed(tmp_path: Path, sciexam: Cli) -> None:
    done = sciexam("compare", "base", "sft", "--judge", "llm", "--suite", suite(tmp_path, None))
    assert done.returncode == 2
    said = " ".join(done.stderr.split())
    assert "judges.llm.probabilities: a reply came without token probabilities, and no more was asked" in said
