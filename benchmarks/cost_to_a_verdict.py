"""Judge calls to a right conclusion: until decided, a fixed number of prompts, and a cascade, at the same error of 5 %.

    python benchmarks/cost_to_a_verdict.py                      # prints Markdown
    python benchmarks/cost_to_a_verdict.py --only cascade --runs 100 --seed 1

Every conclusion is the product's: `sequential.log_capital` and `decide` (`--until-decided`), `conclude` of `win_rate`
and `sign_flip` (`sciexam compare`), `prompts_needed` (`sciexam plan`), `rule` and `settle` (a cascade). Simulated
suites need nothing; recorded verdicts are read from SCIEXAM_SHARED_DATA. Exits 1 where a design is wrong more often
than 5 % by more than chance explains; a cascade promises no such error, and is only shown.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from sequential import DATA, LEVEL, read_verdicts, stops

from conftest import answers, write_suite
from sciexam.battles import Battle
from sciexam.exam.cascade import Judged, cascades_of, rule, settle
from sciexam.exam.plan import make_plan
from sciexam.exam.planning.grounds import CONSISTENCY, TIES
from sciexam.models.terms import USUAL
from sciexam.stats import Undefined, conclude, decide, sign_flip, win_rate
from sciexam.stats.mean import bounded_interval
from sciexam.stats.power import prompts_needed, variance_at_one_half
from sciexam.stats.variance import forced_choice_components
from sciexam.suite import load_suite
from sciexam.types import Comparison, Reply, Response

Floats = NDArray[np.float64]
Sides = NDArray[np.intp]  # of each run: 1 better, -1 worse, 0 undecided

RATES = (0.5, 0.53, 0.55, 0.6, 0.7)
POWER = 0.9  # with which the fixed designs are to find what they are planned for
MARGIN = 0.05
MARGINS = 100  # suites a row
MOST_POWER = 0.9995  # the most that is asked of a fixed design, since no simulation can tell a power of 1
CERTAIN = 2.9  # root mean squares from zero: there a sum with random signs lies with 2 exp(-2.9^2 / 2) = .03 at most
SIGN = {"better": 1, "worse": -1, "undecided": 0}
RECORDED = (("v1", "llama-2-7b-chat-hf"), ("v2", "gpt-3.5-turbo-1106_verbose"))
BANDS = ((0.0, 0.1), (0.1, 0.25), (0.25, 0.5))  # of recorded win rates, by their distance from one half
ORDERS = 200  # of the prompts, for each model of the recorded verdicts
SUITE = 400  # prompts of the cascade's suites
CASCADE_RATES = (0.5, 0.55, 0.6)
CASCADES = 200  # suites a row of the cascade
CHEAP = {  # noise, bias towards the answer shown first, and towards one contestant: in units of the prompts' spread
    "good": (0.4, 0.6, 0.0),
    "poor": (0.8, 0.6, 0.0),
    "leaning": (0.2, 0.6, 0.4),
}
DEAR = (0.05, 0.1, 0.0)


def fixed(scores: Floats) -> Sides:
    """What `sciexam compare` concludes from each row of `scores`, shape (runs, prompts), of one pair by one judge.

    A sign-flip p-value that Hoeffding's inequality puts far below 5 % is not drawn.
    """
    _, low, high = bounded_interval(scores, np.ones(scores.shape[1]), LEVEL)
    said: Sides = (low > 0.5).astype(np.intp) - (high < 0.5)
    for row in np.flatnonzero(said):
        off = scores[row] - 0.5
        if abs(off.sum()) < CERTAIN * np.sqrt(off @ off):
            said[row] = SIGN[conclude(win_rate(scores[row], level=LEVEL), sign_flip(scores[row]), None)]
    return said


@dataclass
class Errors:
    """The wrong conclusions of every design that promises at most 5 % of them."""

    above: list[str] = field(default_factory=list)

    def held(self, wrong: int, runs: int, what: str) -> None:
        alpha = 1 - LEVEL
        if wrong > runs * alpha + 3 * (runs * alpha * (1 - alpha)) ** 0.5:
            self.above.append(f"{what}: {wrong} of {runs} wrong")


def judged(rng: np.random.Generator, shape: tuple[int, int], rate: float, tied: float) -> Floats:
    """Scores of a win rate `rate`, of which the share `tied` is one half and the rest 0 or 1."""
    u = rng.random(shape)
    return np.where(u < rate - tied / 2, 1.0, np.where(u < rate + tied / 2, 0.5, 0.0))


def simulated(runs: int, seed: int, errors: Errors) -> Iterator[str]:
    """The judge that `sciexam plan` assumes without a pilot, in one order and in both."""
    assumed = forced_choice_components(TIES, CONSISTENCY)
    for calls, name, tied in ((1, "one order", TIES), (2, "both orders", TIES + 1 - CONSISTENCY)):
        variance = assumed.of_score(calls, 1, 1, 1, False)
        most = planned(0.53, variance)
        drawn = {
            rate: judged(np.random.default_rng([seed, calls, round(1000 * rate)]), (runs, most), rate, tied)
            for rate in RATES
        }
        yield f"### Simulated, {name}\n"
        sizes = {f"planned for {effect:.2f}": planned(effect, variance) for effect in RATES[1:]}
        yield from tables(drawn, calls, variance, sizes, errors)
        yield ""
        if calls == 2:
            yield from with_margin(drawn, calls, min(runs, MARGINS))
            yield ""


def generator(seed: int, place: int, rate: float) -> np.random.Generator:
    return np.random.default_rng([seed, place, round(1000 * rate)])


def planned(effect: float, variance: float, power: float = POWER) -> int:
    needed = prompts_needed(effect, variance, power=power)
    assert isinstance(needed, int)
    return needed


def tables(
    drawn: dict[float, Floats], calls: int, variance: float, sizes: dict[str, int], errors: Errors
) -> Iterator[str]:
    """Until decided, and fixed designs of `sizes` prompts, on the same scores; `calls` a prompt."""
    yield (
        "| true rate | right | wrong | undecided | calls, mean | 90th percentile "
        "| a fixed design with this power, planned for this very rate |"
    )
    yield "|---" * 7 + "|"
    for rate, scores in drawn.items():
        used, said = stops(scores)
        right, wrong = shares(said, rate)
        errors.held(round(wrong * len(said)), len(said), f"until decided at {rate}")
        power = min(right, MOST_POWER)
        as_good = f"{calls * planned(rate, variance, power):,}" if rate != 0.5 and power > 0.05 else "-"
        yield (
            f"| {rate:.2f} | {right_of(right, rate)} | {wrong:.3f} | {np.mean(said == 0):.3f} "
            f"| {calls * used.mean():,.0f} | {calls * np.quantile(used, 0.9):,.0f} | {as_good} |"
        )
    yield ""
    yield "| fixed design | calls | wrong at .50 | " + " | ".join(f"right at {rate:.2f}" for rate in RATES[1:]) + " |"
    yield "|---" * (3 + len(RATES[1:])) + "|"
    for name, size in sizes.items():
        found = {rate: shares(fixed(scores[:, :size]), rate) for rate, scores in drawn.items()}
        for rate, (_, wrong) in found.items():
            errors.held(round(wrong * len(drawn[rate])), len(drawn[rate]), f"fixed, {name}, at {rate}")
        told = " | ".join(f"{found[rate][0]:.3f}" for rate in RATES[1:])
        yield f"| {name} | {calls * size:,} | {found[0.5][1]:.3f} | {told} |"


def shares(said: Sides, rate: float) -> tuple[float, float]:
    """The shares of right and of wrong conclusions; between equals any side is wrong, and none is right."""
    if rate == 0.5:
        return 0.0, float(np.mean(said != 0))
    return float(np.mean(said == 1)), float(np.mean(said == -1))


def right_of(share: float, rate: float) -> str:
    return "-" if rate == 0.5 else f"{share:.3f}"


def with_margin(drawn: dict[float, Floats], calls: int, runs: int) -> Iterator[str]:
    """Equals, and contestants who are as far apart as the margin, until decided with `--margin`."""
    yield f"With `--margin {MARGIN}`, {runs} suites a row:\n"
    yield "| true rate | equivalent | better or worse | undecided | calls, mean | 90th percentile |"
    yield "|---" * 6 + "|"
    for rate in (0.5, 0.5 + MARGIN):
        found = [decide(scores, margin=MARGIN, level=LEVEL) for scores in drawn[rate][:runs]]
        ends = [one for one in found if not isinstance(one, Undefined)]
        said = [one.conclusion for one in ends]
        sides = said.count("better") + said.count("worse")
        used = calls * np.array([one.prompts for one in ends])
        yield (
            f"| {rate:.2f} | {said.count('equivalent') / runs:.3f} | {sides / runs:.3f} "
            f"| {said.count('undecided') / runs:.3f} | {used.mean():,.0f} | {np.quantile(used, 0.9):,.0f} |"
        )


def recorded(runs: int, seed: int, errors: Errors) -> Iterator[str]:
    """Recorded verdicts, mirrored so often that their rate is as told; then all models as they were recorded."""
    for place, (version, model) in enumerate(RECORDED):
        scores = read_verdicts(version)[model]
        variance = variance_at_one_half(scores)
        assert isinstance(variance, float)
        drawn = {rate: mirrored(generator(seed, 10 + place, rate), scores, (runs, 805), rate) for rate in RATES}
        sizes = {f"planned for {effect:.2f}": planned(effect, variance) for effect in RATES[1:]}
        sizes = {name: size for name, size in sizes.items() if size < 805} | {"all 805 prompts": 805}
        yield f"### Recorded verdicts on {model} ({version})\n"
        yield from tables(drawn, 1, variance, sizes, errors)
        yield ""
    yield "### Recorded verdicts as they are\n"
    yield from as_recorded(seed)


def mirrored(rng: np.random.Generator, scores: Floats, shape: tuple[int, int], rate: float) -> Floats:
    """Draws from `scores`, each taken the other way round so often that its expectation is `rate`."""
    mean = scores.mean()
    kept = (rate - (1 - mean)) / (2 * mean - 1)
    assert 0 <= kept <= 1
    drawn = rng.choice(scores, shape)
    return np.where(rng.random(shape) < kept, drawn, 1 - drawn)


def as_recorded(seed: int) -> Iterator[str]:
    yield "| win rate from one half | models | right | wrong | undecided | calls, mean | 90th percentile | of |"
    yield "|---" * 8 + "|"
    verdicts = [scores for version in ("v1", "v2") for scores in read_verdicts(version).values()]
    for low, high in BANDS:
        inside = [scores for scores in verdicts if low <= abs(scores.mean() - 0.5) < high]
        all_used, all_said = [], []
        for place, scores in enumerate(inside):
            rng = np.random.default_rng([seed, 20, round(100 * low), place])
            truth = int(fixed(scores[None])[0])
            used, said = stops(rng.permuted(np.tile(scores, (ORDERS, 1)), axis=1))
            all_used.append(used)
            all_said.append(said * truth)
        used, said = np.concatenate(all_used), np.concatenate(all_said)
        yield (
            f"| {low:.2f} to {high:.2f} | {len(inside)} | {np.mean(said == 1):.3f} | {np.mean(said == -1):.3f} "
            f"| {np.mean(said == 0):.3f} | {used.mean():.0f} | {np.quantile(used, 0.9):.0f} | 805 |"
        )


def cascade(runs: int, seed: int, errors: Errors) -> Iterator[str]:
    """A cascade with the usual settings on suites of SUITE prompts, beside its dear judge on all of them."""
    yield (
        "| cheap judge | sure of | agrees there | true rate | dear judge alone: right | wrong | calls "
        "| cascade: right | wrong | dear calls, mean | 90th percentile |"
    )
    yield "|---" * 11 + "|"
    with tempfile.TemporaryDirectory() as folder:
        exam = Exam(Path(folder))
        for place, (name, settings) in enumerate(CHEAP.items()):
            for rate in CASCADE_RATES:
                rng = generator(seed, 30 + place, rate)
                yield cascade_row(exam, rng, name, settings, rate, runs, errors)


class Exam:
    """A plan with a cascade of two judges over SUITE prompts, and what the product makes of their verdicts."""

    def __init__(self, folder: Path):
        models = {name: {"responses": answers(folder, name, [f"{name} {i}" for i in range(SUITE)])} for name in "ab"}
        llm = {"backend": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key_env": None}
        judges = {name: {**llm, "model": name} for name in ("cheap", "dear")}
        judges["cascade"] = {"backend": "cascade", "judges": ["cheap", "dear"]}
        suite = load_suite(str(write_suite(folder, SUITE, models, judges=judges)))
        self.plan, _ = make_plan(suite, ("a", "b"), ["cascade"], None, "mean", None, "category", None, USUAL)
        (self.cascade,) = cascades_of(self.plan)
        self.compared = [
            Comparison(prompt, *(Response(name, prompt.id, 0, Reply("0" * 64, "text")) for name in "ab"))
            for prompt in self.plan.prompts
        ]

    def settled(self, cheap: Floats, dear: Floats) -> tuple[Floats, int]:
        """The scores that count, shape (prompts,), and on how many prompts the dear judge is asked.

        `cheap`, `dear`: shape (2, prompts), the score in each order.
        """
        rulings = rule(self.plan, self.cascade, by_cheap := self._judged(cheap), by_dear := self._judged(dear))
        counted = list(settle(rulings, by_cheap, by_dear))
        return np.array([one.battle.score for one, _ in counted]), sum(is_dear for _, is_dear in counted)

    def _judged(self, said: Floats) -> list[Judged]:
        return [
            Judged(one, Battle(one.prompt.id, 0, "a", "b", "", (ab + ba) / 2, {"ab": ab, "ba": ba}), ())
            for one, ab, ba in zip(self.compared, *said.tolist(), strict=True)
        ]


def cascade_row(
    exam: Exam,
    rng: np.random.Generator,
    name: str,
    settings: tuple[float, float, float],
    rate: float,
    runs: int,
    errors: Errors,
) -> str:
    alone, together, asked, sure, agree = [], [], [], [], []
    for _ in range(runs):
        better = rng.normal(centre(rate), 1, SUITE)  # how much better one answer is, as the dear judge sees it
        cheap, dear = (said(rng, better, *how) for how in (settings, DEAR))
        scores, count = exam.settled(cheap, dear)
        alone.append(dear.mean(0))
        together.append(scores)
        asked.append(2 * count)
        consistent = cheap[0] == cheap[1]
        sure.append(consistent.mean())
        agree.append((cheap == dear).all(0)[consistent].mean())
    found = [shares(fixed(np.array(each)), rate) for each in (alone, together)]
    errors.held(round(found[0][1] * runs), runs, f"dear judge alone at {rate}")
    (right, wrong), (right_together, wrong_together) = found
    return (
        f"| {name} | {np.mean(sure):.2f} | {np.mean(agree):.3f} | {rate:.2f} | {right_of(right, rate)} | {wrong:.3f} "
        f"| {2 * SUITE:,} | {right_of(right_together, rate)} | {wrong_together:.3f} | {np.mean(asked):,.0f} "
        f"| {np.quantile(asked, 0.9):,.0f} |"
    )


def centre(rate: float) -> float:
    """How much better an answer is on average where the dear judge's win rate over both orders is `rate`."""
    noise, first, _ = DEAR
    centres = np.linspace(-3, 3, 10_001)
    spread = np.sqrt(1 + noise**2)
    return float(np.interp(rate, (ndtr((centres + first) / spread) + ndtr((centres - first) / spread)) / 2, centres))


def said(rng: np.random.Generator, better: Floats, noise: float, first: float, leaning: float) -> Floats:
    """A judge's forced choices in both orders, shape (2, prompts): 1 where it names a."""
    shown = np.array([[-first], [first]])
    return np.where(better + leaning + shown + noise * rng.normal(size=(2, len(better))) > 0, 1.0, 0.0)


PARTS = {"simulated": simulated, "recorded": recorded, "cascade": cascade}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000, help=f"suites a row (1000); of a cascade at most {CASCADES}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=PARTS)
    given = parser.parse_args()
    errors = Errors()
    for name, part in PARTS.items():
        if given.only not in (None, name):
            continue
        if name == "recorded" and not (DATA / "alpacaeval").is_dir():
            print("The recorded AlpacaEval verdicts are not here (set SCIEXAM_SHARED_DATA): not run on them.\n")
            continue
        for line in part(min(given.runs, CASCADES) if name == "cascade" else given.runs, given.seed, errors):
            print(line, flush=True)
        print()
    for one in errors.above:
        print(f"above 5 %: {one}", file=sys.stderr)
    return 1 if errors.above else 0


if __name__ == "__main__":
    sys.exit(main())
