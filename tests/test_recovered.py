"""A judge whose taste, biases and order consistency are set here: what a comparison says of it is what was set.

A `Mind` gives each prompt one of a few dispositions. What a report is to find follows from their shares by hand, over
both orders of every prompt; no judge is run to find it out. With l the share of prompts whose longer answer is sft's,
q = `sft`, the probability that a verdict on quality names sft, and s1, s2 the shares of "first" and "second":

- both orders of a prompt average to 1/2 under first, second and tie; to 1/2 on average under coin (each order a fair
  draw of its own); to 1 under longer where sft is the longer one, else to 0; and to q under quality. So
      win rate at length L (1: sft is longer, 0: it is not) = (s1 + s2 + tie + coin) / 2 + longer L + quality q
- P(first wins) - P(second wins) = s1 - s2: everything else names either place equally often over the two orders.
- one outcome in both orders: always, but for first and second (never) and coin (half of the time).
- a prompt has a winner under longer, quality, and half of coin. The longer answer is that winner always, with
  l q + (1 - l)(1 - q), and with 1/2.
- both lengths are 30 or 20 words, so the regression on length has two cells and fits both rates: its log-odds at equal
  length are the mean of the two cells' log-odds.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from scipy.stats import binom

import sciexam as sx
from conftest import answers, write_suite
from endpoint import Body, Endpoint, answers_of, nonce_of, prompt_of
from sciexam.report.record import Figure, Pair
from sciexam.types import Presentation, Verdict

Kind = Literal["quality", "first", "second", "longer", "tie", "coin"]
N = 160
LONGER = 0.75  # the share of prompts on which sft's answer is the longer one
LONG, SHORT = 30, 20  # words


@dataclass(frozen=True)
class Mind:
    """The shares of the dispositions; what is left over judges quality, and names sft with the probability `sft`."""

    first: float = 0.0
    second: float = 0.0
    longer: float = 0.0
    tie: float = 0.0
    coin: float = 0.0
    sft: float = 0.75

    @property
    def quality(self) -> float:
        return 1 - self.first - self.second - self.longer - self.tie - self.coin

    def rate(self, sft_is_longer: bool) -> float:
        level = (self.first + self.second + self.tie + self.coin) / 2
        return level + self.longer * sft_is_longer + self.quality * self.sft

    def truth(self) -> dict[str, float]:
        decided = self.longer + self.quality + self.coin / 2
        of_quality = LONGER * self.sft + (1 - LONGER) * (1 - self.sft)
        logits = [math.log(rate / (1 - rate)) for rate in (self.rate(True), self.rate(False))]
        return {
            "win rate": LONGER * self.rate(True) + (1 - LONGER) * self.rate(False),
            "position bias": self.first - self.second,
            "order consistency": 1 - self.first - self.second - self.coin / 2,
            "longer wins": (self.longer + self.quality * of_quality + self.coin / 4) / decided,
            "length-controlled": 1 / (1 + math.exp(-sum(logits) / 2)),
        }


@dataclass(frozen=True)
class Disposition:
    """What is thought of one prompt: `coins` says for each order whether sft is named, where quality or chance says."""

    kind: Kind
    coins: tuple[bool, bool]  # sft shown second, sft shown first

    def names(self, sft_first: bool, sft_longer: bool) -> Literal["first", "second", "tie"]:
        if self.kind in ("first", "second", "tie"):
            return self.kind
        sft = sft_longer if self.kind == "longer" else self.coins[sft_first]
        return "first" if sft == sft_first else "second"


def apportioned(mind: Mind, sft_is_longer: Sequence[bool], seed: int) -> list[Disposition]:
    """A disposition for each prompt, in exactly the shares of `mind` among the long and among the short alike."""
    found: dict[int, Disposition] = {}
    for length in (True, False):
        places = [i for i, longer in enumerate(sft_is_longer) if longer is length]
        random.Random(f"{seed} {length}").shuffle(places)
        worlds: list[tuple[float, Disposition]] = [
            (getattr(mind, kind), Disposition(kind, (False, False))) for kind in ("first", "second", "longer", "tie")
        ]
        worlds += [(mind.coin / 4, Disposition("coin", (x, y))) for x in (True, False) for y in (True, False)]
        worlds += [
            (mind.quality * share, Disposition("quality", (sft, sft)))
            for sft, share in ((True, mind.sft), (False, 1 - mind.sft))
        ]
        listed = [one for share, one in worlds for _ in range(round(share * len(places)))]
        assert len(listed) == len(places), "these shares of these prompts are whole numbers"
        found |= dict(zip(places, listed, strict=True))
    return [found[i] for i in range(len(sft_is_longer))]


def drawn(mind: Mind, rng: random.Random) -> Disposition:
    """A disposition with the probabilities of `mind`."""
    at, kinds = rng.random(), ("first", "second", "longer", "tie", "coin")
    for kind in kinds:
        at -= getattr(mind, kind)
        if at < 0:
            return Disposition(kind, (rng.random() < 0.5, rng.random() < 0.5))  # type: ignore[arg-type]
    names_sft = rng.random() < mind.sft
    return Disposition("quality", (names_sft, names_sft))


def lengths(n: int) -> list[bool]:
    """Whether sft's answer is the longer one, mixed."""
    listed = [i < LONGER * n for i in range(n)]
    random.Random(1).shuffle(listed)
    return listed


def suite(folder: Path, sft_is_longer: Sequence[bool], **more: object) -> sx.Suite:
    def text(who: str, i: int, words: int) -> str:
        return " ".join([who, f"thing-{i}", *["because"] * (words - 2)])

    sides = {"base": (SHORT, LONG), "sft": (LONG, SHORT)}
    models = {
        who: {
            "responses": answers(
                folder, who, [text(who, i, if_long if one else if_short) for i, one in enumerate(sft_is_longer)]
            )
        }
        for who, (if_long, if_short) in sides.items()
    }
    return sx.load_suite(str(write_suite(folder, len(sft_is_longer), models, **more)))


def number(text: str) -> int:
    return int(re.findall(r"thing-(\d+)", text)[0])


def figures(pair: Pair) -> dict[str, Figure]:
    assert pair.length is not None
    return {
        "win rate": pair.win_rate,
        "position bias": pair.position_bias,
        "order consistency": pair.order_consistency,
        "longer wins": pair.length.longer_wins,
        "length-controlled": pair.length.controlled,
    }


def answering(minds: Sequence[Disposition]) -> Callable[[Body], str]:
    """The replies of a judge that thinks this of each prompt."""

    def reply(body: Body) -> str:
        text = prompt_of(body)
        a, b = answers_of(text)
        sft_first = a.startswith("sft")
        own, other = (a, b) if sft_first else (b, a)
        said = minds[number(a)].names(sft_first, len(own.split()) > len(other.split()))
        return f"VERDICT {nonce_of(text)}: {({'first': 'A>B', 'second': 'B>A', 'tie': 'A=B'})[said]}"

    return reply


def endpoint_judge(endpoint: Endpoint, **more: object) -> dict[str, object]:
    judge = {"backend": "openai", "model": "judge-1", "base_url": endpoint.url, "api_key_env": None, "concurrency": 16}
    return {"llm": judge | more}


@pytest.mark.parametrize(
    "mind",
    [
        Mind(),
        Mind(sft=0.5),
        Mind(first=0.5),
        Mind(second=0.4, sft=0.25),
        Mind(longer=0.6),
        Mind(first=0.3, longer=0.3),
        Mind(first=0.2, tie=0.2, coin=0.2),
    ],
    ids=["fair", "indifferent", "first", "second", "longer", "first and longer", "ties and coins"],
)
def test_what_was_set_is_what_the_report_says(tmp_path: Path, mind: Mind) -> None:
    """The shares are apportioned, so each figure is the true one but for rounding, and its interval must hold it."""
    longer = lengths(N)
    with Endpoint(reply=answering(apportioned(mind, longer, 3))) as endpoint:
        exam = suite(tmp_path, longer, judges=endpoint_judge(endpoint))
        pair = sx.compare(exam, "base", "sft", judges=["llm"], results=tmp_path / "r").pairs["base", "sft"]
        assert endpoint.requests == 2 * N, "every prompt in both orders"
    assert (pair.used, pair.invalid, pair.failed) == (N, 0, 0)
    truth = mind.truth()
    for name, figure in figures(pair).items():
        assert isinstance(figure, sx.Estimate), (name, figure)
        assert figure.value == pytest.approx(truth[name], abs=1e-6), name
        assert figure.low <= truth[name] <= figure.high, name
        assert figure.high - figure.low < 0.5, name
    favoured = [caveat for caveat in caveats_in(tmp_path) if "the judge favours the answer shown" in caveat]
    assert len(favoured) == (abs(truth["position bias"]) > 0.15)
    assert all(f"shown {'first' if mind.first > mind.second else 'second'} " in caveat for caveat in favoured)


def caveats_in(folder: Path) -> list[str]:
    (path,) = (folder / "r").rglob("report.json")
    found: list[str] = json.loads(path.read_text())["caveats"]
    return found


def test_probabilities_are_recovered_with_the_bias_in_them(tmp_path: Path) -> None:
    """Of two prompts in five sft is better with .8, and what is first gets .1 more; else with .4, and .2 more.

    Over both orders what the first gets cancels: the win rate is .4 x .8 + .6 x .4 = .56 at either length, and so at
    equal length. P(first wins) - P(second wins) is twice .4 x .1 + .6 x .2. The side is sft's at .8 + .1 and .8 - .1,
    and turns between .4 + .2 and .4 - .2: one outcome on two prompts in five. sft is ahead on .4 of the prompts at
    either length, so the longer answer wins .4 l + .6 (1 - l).
    """
    longer = lengths(N)
    sure: set[int] = set()
    for length in (True, False):
        places = [i for i, one in enumerate(longer) if one is length]
        sure |= set(places[: round(0.4 * len(places))])

    def reply(body: Body) -> Body:
        first, _ = answers_of(prompt_of(body))
        sft, more = (0.8, 0.1) if number(first) in sure else (0.4, 0.2)
        p_first = (sft if first.startswith("sft") else 1 - sft) + more
        shares = sorted({"A": p_first, "B": 1 - p_first}.items(), key=lambda one: -one[1])
        listed = [{"token": token, "logprob": math.log(share)} for token, share in shares]
        told = {"content": [listed[0] | {"top_logprobs": listed}]}
        message = {"role": "assistant", "content": shares[0][0]}
        choice = {"index": 0, "finish_reason": "stop", "message": message, "logprobs": told}
        return {"choices": [choice], "model": "judge-1"}

    with Endpoint(reply=reply) as endpoint:
        weighed = endpoint_judge(endpoint, template="verdict-only", probabilities=True)
        exam = suite(tmp_path, longer, judges=weighed)
        pair = sx.compare(exam, "base", "sft", judges=["llm"], results=tmp_path / "r").pairs["base", "sft"]
    truth = {
        "win rate": 0.56,
        "position bias": 2 * (0.4 * 0.1 + 0.6 * 0.2),
        "order consistency": 0.4,
        "longer wins": 0.4 * LONGER + 0.6 * (1 - LONGER),
        "length-controlled": 0.56,
    }
    for name, figure in figures(pair).items():
        assert isinstance(figure, sx.Estimate), (name, figure)
        assert figure.value == pytest.approx(truth[name], abs=1e-6), name
        assert figure.low < truth[name] < figure.high, name


# ---------------------------------------------------------------- how often the intervals hold what was set


class Drawn:
    """A judge whose dispositions are drawn from its own seed."""

    def __init__(self, mind: Mind, seed: int, n: int):
        rng = random.Random(seed)
        self.name = self.digest = f"drawn-{seed}"
        self._minds = [drawn(mind, rng) for _ in range(n)]

    def judge(self, presentations: Iterable[Presentation]) -> Iterator[Verdict]:
        for p in presentations:
            sft_first = p.first.startswith("sft")
            own, other = (p.first, p.second) if sft_first else (p.second, p.first)
            mind = self._minds[number(p.first)]
            yield p.verdict(self.name, mind.names(sft_first, len(own.split()) > len(other.split())))


SEEDS = 40


@pytest.mark.parametrize(
    "mind",
    [
        pytest.param(Mind(sft=0.6), id="noise alone", marks=pytest.mark.slow),
        pytest.param(Mind(first=0.15, longer=0.2, tie=0.15, coin=0.1, sft=0.7), id="a little of everything"),
    ],
)
def test_intervals_hold_what_was_set_about_as_often_as_they_say(tmp_path: Path, mind: Mind) -> None:
    """Forty judges draw the same mind anew on 80 prompts; a 95 % interval may miss its truth in a few of them.

    Each count is held against a binomial one of .94 (the least that docs/coverage.md promises) at 1 in 1,000; and the
    mean half width against 1.96 standard deviations of the values, so that no interval holds the truth by being vast.
    """
    n = 80
    exam = suite(tmp_path, lengths(n))
    judges = [Drawn(mind, seed, n) for seed in range(SEEDS)]
    report = sx.compare(exam, "base", "sft", judges=judges, results=tmp_path / "r")
    truth = mind.truth()
    found: Mapping[str, list[Figure]] = {name: [figures(pair)[name] for pair in report.pairs] for name in truth}
    fewest = int(binom.ppf(0.001, SEEDS, 0.94))
    for name, listed in found.items():
        known = [one for one in listed if isinstance(one, sx.Estimate)]
        assert len(known) == SEEDS, name
        held = sum(one.low <= truth[name] <= one.high for one in known)
        assert held >= fewest, (name, held)
        mean = sum(one.value for one in known) / SEEDS
        sd = math.sqrt(sum((one.value - mean) ** 2 for one in known) / (SEEDS - 1))
        half = sum(one.high - one.low for one in known) / (2 * SEEDS)
        assert abs(mean - truth[name]) <= 4 * sd / math.sqrt(SEEDS) + 1e-9, (name, mean, truth[name])
        if sd > 0:  # of "noise alone" the first two are the same in every draw
            assert 0.75 < half / (1.96 * sd) < 1.6, (name, half / (1.96 * sd))


def test_a_bias_is_told_from_a_preference_where_each_prompt_is_shown_once(tmp_path: Path) -> None:
    """sft wins .8 of what is judged by quality, and what is first wins .4 of all: the bias alone is .4."""
    n, mind = 120, Mind(first=0.4, sft=0.8)
    judges = [Drawn(mind, 1_000 + seed, n) for seed in range(SEEDS)]
    report = sx.compare(suite(tmp_path, lengths(n)), "base", "sft", judges=judges, orders="one", results=tmp_path / "r")
    known = [pair.position_bias for pair in report.pairs if isinstance(pair.position_bias, sx.Estimate)]
    assert len(known) == SEEDS
    assert sum(one.low <= 0.4 <= one.high for one in known) >= binom.ppf(0.001, SEEDS, 0.94)
    assert sum(one.low > 0 for one in known) > 0.9 * SEEDS
    assert all(isinstance(pair.order_consistency, sx.Undefined) for pair in report.pairs)
