"""How often honest annotators are flagged, and how often spammers are: writes benchmarks/annotator_flags.md.

    python benchmarks/annotator_flags.py [--teams 600] [--spammed 400] [--seed 0]

Every annotator is simulated and goes through the shipped `sciexam.annotate.flags.conduct_of`. Cells run in as many
processes as there are cores, each from a seed of its own, so that the numbers do not depend on the machine. Takes about
a minute on two cores. Exits 1 where a rate misses its aim.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, multivariate_normal, norm

from sciexam.annotate.flags import GOLD_ERROR, READABLE, REPEATED, TELLING_P, Look, conduct_of
from sciexam.report.record import Figure
from sciexam.stats import Estimate, cohen_kappa, krippendorff_alpha, majority_vote

PAGE = Path(__file__).with_suffix(".md")
Floats = NDArray[np.float64]

# A phrase of each flag's sentence.
FLAGS = {
    "speed": "faster than the words",
    "lean": "sides are shown at random",
    "one choice": "the same choice",
    "gold": "gold items wrong",
    "repeats": "the same side again",
    "agreement": "agrees with the majority",
    "cannot": "could not judge",
}
SPAMMERS = {
    "random, fast": "random sides and strengths, about 1 s each",
    "random, slow": "random sides and strengths at a human pace",
    "left-much, fast": "always `left-much`, about 1 s each",
    "left-slightly, slow": "always `left-slightly` at a human pace",
    "alternating, fast": "left, right, left, ..., about 1 s each",
    "opposite, slow": "the opposite of what an honest annotator would say, at a human pace",
}
PLAIN = ("random, fast", "left-much, fast", "left-slightly, slow", "alternating, fast")  # an aim is set for these
RULES = ("kappa alone", "kept", "alpha rises")
NUMBERS, ACCURACIES = (20, 40, 100), (0.7, 0.8, 0.9)
ANNOTATORS = 4
MOST_FALSE, LEAST_FOUND, FOUND_FROM = 0.02, 0.95, 40

TIE, CANNOT, TIRED, MUCH = 0.1, 0.02, 0.1, 0.4
GOLD_ATTENTIVE = 0.95
GOLD_RIGHT = (1 - TIRED) * GOLD_ATTENTIVE + TIRED / 2


@dataclass(frozen=True, slots=True)
class Cell:
    """What is simulated: teams of four; the first is the spammer where there is one, or differs as its fields say."""

    items: int
    accuracy: float
    spammer: str = ""
    others: float | None = None  # accuracy of the other three, where it differs
    pace: tuple[float, float] = (150, 400)  # words a minute of an annotator
    leftward: float = 0.0  # in this share of judgements the left answer, whatever it is
    cannot: float = CANNOT
    better: float = 0.6  # share of items on which contestant a is the better one
    gold_right: float = GOLD_RIGHT
    name: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One annotator's judgements: `left` and `by_answer` are 1 for left and for contestant a, .5 a tie, NaN cannot."""

    looks: tuple[Look, ...]
    by_answer: Floats
    gold: tuple[int, int]
    repeats: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Measured:
    """Flags of the first annotators of the teams (the spammers, where there are any), and of honest team mates."""

    first: Counter[str]
    mates: Counter[str]


def sheet(cell: Cell, first: bool, better: Floats, words: Floats, rng: np.random.Generator) -> Sheet:
    n = cell.items
    spammer = cell.spammer if first else ""
    accuracy = cell.accuracy if first or cell.others is None else cell.others
    a_left = rng.permutation(np.arange(n) % 2).astype(np.float64)  # balanced sides
    tired = rng.random(n) < TIRED
    right = np.where(tired, rng.random(n) < 0.5, rng.random(n) < accuracy)
    by_answer = np.where(right, better, 1 - better)
    left = np.where(by_answer == a_left, 1.0, 0.0)
    much = rng.random(n) < MUCH
    wish = rng.random(n)
    if spammer == "opposite, slow":
        left = 1 - left
    if spammer.startswith("random"):
        left, much = rng.integers(0, 2, n).astype(np.float64), rng.random(n) < 0.5
    elif spammer.startswith("left"):
        left, much = np.ones(n), np.full(n, spammer.startswith("left-much"))
    elif spammer.startswith("alternating"):
        left = np.arange(1, n + 1) % 2.0
    if first and cell.leftward:
        left = np.where(rng.random(n) < cell.leftward, 1.0, left)
    if not spammer or spammer.startswith("opposite"):
        left[wish < TIE] = 0.5
        left[wish > 1 - (cell.cannot if first else CANNOT)] = np.nan
    pace = rng.uniform(*(cell.pace if first else (150, 400)))
    seconds = words / pace * 60 * np.exp(rng.normal(0, 0.35, n)) / np.where(tired, 2, 1)
    if spammer.endswith("fast"):
        seconds = np.exp(rng.normal(0, 0.3, n))
    return Sheet(
        looks=tuple(map(look, left.tolist(), much.tolist(), seconds.tolist(), words.astype(int).tolist())),
        by_answer=np.where(left == 0.5, 0.5, np.where(np.isnan(left), np.nan, left == a_left)),
        gold=(int(rng.binomial(n // 10, gold_rate(cell, spammer, first))), n // 10),
        repeats=(int(rng.binomial(n // 10, repeat_rate(accuracy, spammer))), n // 10),
    )


def look(left: float, much: bool, seconds: float, words: int) -> Look:
    if math.isnan(left):
        return Look("cannot", None, seconds, words)
    if left == 0.5:
        return Look("tie", "tie", seconds, words)
    strength = "much" if much else "slightly"
    return (
        Look(f"left-{strength}", "left", seconds, words) if left else Look(f"right-{strength}", "right", seconds, words)
    )


def gold_rate(cell: Cell, spammer: str, first: bool) -> float:
    if not spammer:
        return cell.gold_right if first else GOLD_RIGHT
    return 1 - GOLD_RIGHT if spammer.startswith("opposite") else 0.5


def repeat_rate(accuracy: float, spammer: str = "") -> float:
    """The same side again, with errors drawn anew at each look; the sides of a repeat are drawn anew too."""
    if spammer and not spammer.startswith("opposite"):
        return 0.5
    right = usual_rate(accuracy)
    return right**2 + (1 - right) ** 2


def usual_rate(accuracy: float) -> float:
    """How often an honest annotator of this accuracy names the better side, tired judgements included."""
    return (1 - TIRED) * accuracy + TIRED / 2


def half_convinced(accuracy: float) -> float:
    """The same side again where half the variance of the evidence (a probit) is the annotator's lasting view."""
    both = 1 - 2 * accuracy + 2 * float(multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]]).cdf([norm.ppf(accuracy)] * 2))
    attentive = (1 - TIRED) ** 2
    return attentive * both + (1 - attentive) / 2


def measure(cell: Cell, teams: int, mates: Sequence[int], seed: Sequence[int]) -> Measured:
    rng = np.random.default_rng(seed)
    found = Measured(Counter(), Counter())
    for _ in range(teams):
        better = (rng.random(cell.items) < cell.better).astype(np.float64)
        words = np.clip(np.exp(rng.normal(math.log(300), 0.4, cell.items)), 40, None).round()
        sheets = [sheet(cell, rater == 0, better, words, rng) for rater in range(ANNOTATORS)]
        ratings = np.array([one.by_answer for one in sheets])
        whole = krippendorff_alpha(ratings)
        found.first.update(raised(sheets, ratings, 0, whole))
        for mate in mates:
            found.mates.update(raised(sheets, ratings, mate, whole))
    return found


def raised(sheets: Sequence[Sheet], ratings: Floats, rater: int, whole: Figure) -> Iterator[str]:
    """The names of the flags of one annotator, `any` where there is one, the rules that fire, and `annotators`."""
    one, others = sheets[rater], np.delete(ratings, rater, axis=0)
    majority = np.array([np.nan if label is None else label for label in majority_vote(others).labels], np.float64)
    kappa, alpha = cohen_kappa(one.by_answer, majority), krippendorff_alpha(others)
    flags = conduct_of(one.looks, one.gold, one.repeats, kappa, alpha).flags
    names = [name for flag in flags for name, phrase in FLAGS.items() if phrase in flag]
    assert len(names) == len(flags)
    yield "annotators"
    yield from names
    if names:
        yield "any"
    if isinstance(kappa, Estimate) and isinstance(alpha, Estimate) and isinstance(whole, Estimate):
        if kappa.low <= 0 < alpha.low:
            yield "rule kappa alone"
        if alpha.low > whole.value:
            yield "rule alpha rises"
    if "agreement" in names:
        yield "rule kept"


def odd_cells() -> Iterator[Cell]:
    """Honest annotators for whom an assumption of the flags does not hold."""
    yield from mixed_cells()
    usual = Cell(100, 0.8)
    yield replace(usual, gold_right=usual_rate(0.8), name="gold items as hard as all others (right in 77 %)")
    yield replace(usual, pace=(600, 600), name="reads 600 words a minute")
    yield replace(usual, leftward=0.1, name="takes the left answer in a tenth of judgements, whatever it is")
    yield replace(usual, items=400, leftward=0.1, name="the same, 400 judgements")
    yield replace(usual, cannot=0.2, name="cannot judge a fifth")
    yield replace(usual, better=0.9, name="one contestant is better on 90 % of items")


def mixed_cells() -> Iterator[Cell]:
    for items in (*NUMBERS, 400):
        yield Cell(items, 0.7, others=0.9, name=f"right in 70 % among three right in 90 %, {items} judgements")


def jobs(options: argparse.Namespace) -> list[tuple[Cell, int, tuple[int, ...], tuple[int, ...]]]:
    """The largest cells first, so that no core waits for the last one."""
    plain = [Cell(items, accuracy) for items in NUMBERS for accuracy in ACCURACIES]
    spammed = [replace(cell, spammer=spammer) for spammer in SPAMMERS for cell in plain]
    odd = list(odd_cells())
    every = (
        [(cell, options.teams, (1, 2, 3), (options.seed, 0, place)) for place, cell in enumerate(plain)]
        + [(cell, options.spammed, (1,), (options.seed, 1, place)) for place, cell in enumerate(spammed)]
        + [(cell, 2 * options.spammed, (), (options.seed, 2, place)) for place, cell in enumerate(odd)]
    )
    return sorted(every, key=lambda job: -job[0].items * job[1] * (1 + len(job[2])))


def share(found: Counter[str], name: str) -> float:
    return found[name] / found["annotators"]


def percent(*values: float) -> str:
    return " / ".join(f"{100 * value:.{2 if value < 0.1 else 3}g}" for value in values) + " %"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def honest_table(found: dict[Cell, Measured], spammed: bool) -> Iterator[str]:
    rows = []
    for items in NUMBERS:
        for accuracy in ACCURACIES:
            total = honest(found, items, accuracy, spammed)
            rates = [percent(share(total, name)) for name in ("any", *FLAGS)]
            rows.append([str(items), f"{accuracy:.2f}", f"{total['annotators']:,}", *rates])
    yield from table(["judgements", "accuracy", "annotators", "**any flag**", *FLAGS], rows)


def honest(found: dict[Cell, Measured], items: int, accuracy: float, spammed: bool) -> Counter[str]:
    total: Counter[str] = Counter()
    for cell, measured in found.items():
        if (cell.items, cell.accuracy, bool(cell.spammer), cell.name) == (items, accuracy, spammed, ""):
            total += measured.mates if spammed else measured.first + measured.mates
    return total


def spammer_table(found: dict[Cell, Measured]) -> Iterator[str]:
    same = [name for name in FLAGS if name not in ("agreement", "cannot")]  # whatever the others do
    rows = []
    for spammer in SPAMMERS:
        for items in NUMBERS:
            by = [found[Cell(items, accuracy, spammer)].first for accuracy in ACCURACIES]
            rates = [percent(share(sum(by, Counter[str]()), name)) for name in same]
            any_flag, agreement = (percent(*(share(one, name) for one in by)) for name in ("any", "agreement"))
            rows.append([spammer, str(items), any_flag, *rates, agreement])
    yield from table(["spammer", "judgements", "**any flag**", *same, "agreement"], rows)


def odd_table(found: dict[Cell, Measured]) -> Iterator[str]:
    rows = []
    for cell in odd_cells():
        first = found[cell].first
        raised_by = [f"{name} {percent(share(first, name))}" for name in FLAGS if first[name]]
        rows.append([cell.name, percent(share(first, "any")), ", ".join(raised_by) or "none"])
    yield from table(["the honest annotator", "**any flag**", "of which"], rows)


def rule_table(found: dict[Cell, Measured]) -> Iterator[str]:
    rows = []
    for who in ("", "random, slow", "opposite, slow"):
        for items in NUMBERS:
            by = [honest(found, items, accuracy, False) for accuracy in ACCURACIES]
            if who:
                by = [found[Cell(items, accuracy, who)].first for accuracy in ACCURACIES]
            rates = [percent(*(share(one, f"rule {rule}") for one in by)) for rule in RULES]
            rows.append([who or "honest", str(items), *rates])
    for cell in mixed_cells():
        rates = [percent(share(found[cell].first, f"rule {rule}")) for rule in RULES]
        rows.append(["honest, 70 % among 90 %", str(cell.items), *rates])
    yield from table(["annotator", "judgements", *RULES], rows)


def largest(of: int, rate: float) -> int:
    """The largest count of successes that is still flagged, -1 where none is."""
    return int(np.searchsorted(binom.cdf(np.arange(of + 1), of, rate), TELLING_P)) - 1


def gold_table() -> Iterator[str]:
    hard, random = usual_rate(0.8), 0.5
    head = ["gold items", "flagged from", f"honest ({percent(GOLD_RIGHT)})", f"honest, hard gold ({percent(hard)})"]
    rows = []
    for of in (3, 4, 5, 6, 8, 10, 15, 20):
        most = largest(of, 1 - GOLD_ERROR)
        rates = [percent(float(binom.cdf(most, of, right))) for right in (GOLD_RIGHT, hard, random, 1 - GOLD_RIGHT)]
        rows.append([str(of), f"{of - most} wrong", *rates])
    yield from table([*head, "random or one-sided (50 %)", f"opposite ({percent(1 - GOLD_RIGHT)})"], rows)


def repeat_table() -> Iterator[str]:
    anew, half = repeat_rate(0.7), half_convinced(0.7)
    head = ["tested against", "repeats", "flagged up to", f"honest, errs anew ({percent(anew)})"]
    rows = []
    for rate in (0.5, REPEATED, 0.65, 0.8):
        for of in (6, 10, 20):
            most = largest(of, rate)
            rates = [percent(float(binom.cdf(most, of, same))) for same in (anew, half, 0.5, 0.0)]
            kept = f"**{rate:.2f}**" if rate == REPEATED else f"{rate:.2f}"
            rows.append([kept, str(of), f"{most} the same" if most >= 0 else "never", *rates])
    head += [f"honest, half by conviction ({percent(half)})", "random (50 %)", "one-sided, sides exchanged (0 %)"]
    yield from table(head, rows)


def misses(found: dict[Cell, Measured]) -> Iterator[str]:
    for items in NUMBERS:
        for accuracy in ACCURACIES:
            for spammed in (False, True):
                rate = share(honest(found, items, accuracy, spammed), "any")
                if rate > MOST_FALSE:
                    yield f"honest, {items} judgements, {accuracy:.0%}, {rate:.1%} flagged"
            for spammer in PLAIN if items >= FOUND_FROM else ():
                rate = share(found[Cell(items, accuracy, spammer)].first, "any")
                if rate < LEAST_FOUND:
                    yield f"{spammer}, {items} judgements, {accuracy:.0%}: {rate:.1%} found"


def page(found: dict[Cell, Measured], options: argparse.Namespace) -> str:
    missed = list(misses(found))
    parts: dict[str, Any] = {
        "command": f"python benchmarks/annotator_flags.py --teams {options.teams} --spammed {options.spammed} "
        f"--seed {options.seed}",
        "versions": f"numpy {version('numpy')}, scipy {version('scipy')}",
        "teams": f"{options.teams:,}",
        "all_honest": f"{ANNOTATORS * options.teams:,}",
        "spammed": f"{options.spammed:,}",
        "odd": f"{2 * options.spammed:,}",
        "most_false": percent(MOST_FALSE),
        "least_found": percent(LEAST_FOUND),
        "found_from": FOUND_FROM,
        "gold_right": percent(GOLD_RIGHT),
        "readable": f"{READABLE:,}",
        "aims": "Both are met in every cell." if not missed else "Missed: " + "; ".join(missed) + ".",
        "spammers": "\n".join(f"- **{name}**: {what}" for name, what in SPAMMERS.items()),
        "honest": "\n".join(honest_table(found, False)),
        "mates": "\n".join(honest_table(found, True)),
        "hits": "\n".join(spammer_table(found)),
        "strange": "\n".join(odd_table(found)),
        "rules": "\n".join(rule_table(found)),
        "gold": "\n".join(gold_table()),
        "repeats": "\n".join(repeat_table()),
    }
    return TEXT.format(**parts)


TEXT = """\
# Flags of annotators: false alarms and hits

Made by

    {command}

with {versions}. Every annotator is simulated from the seed and goes through the shipped `conduct_of`,
with kappa and alpha from `sciexam.stats`. Nothing here depends on the machine.

The aims: at most {most_false} of honest annotators have any flag, at every number of judgements and every accuracy; at
least {least_found} of those who are fast or one-sided have one from {found_from} judgements on. {aims}

## What is simulated

Four annotators judge the same items, each with the sides drawn anew and balanced. One contestant is better on 60 % of
the items. An item has about 300 words (log-normal, sd .4 of the log, at least 40).

An **honest** annotator names the better side with the given accuracy; one judgement in ten is tired: a coin, at twice
the speed. A tenth of the judgements are ties, 2 % are `cannot`; 40 % of the sides are `much`, the others `slightly`.
Each has a pace between 150 and 400 words a minute, around which the times scatter (log-normal, sd .35). A tenth of the
judgements are gold items, on which an honest annotator is right in 95 %, with the tired ones in {gold_right}. As many
are repeats, with the sides drawn anew; errors on them are drawn anew too, which is the worst case for the honest.

{spammers}

## Honest annotators among honest ones

{teams} teams of four in each row. A rate of 1 % among {all_honest} annotators is known to about +-.4 %.

{honest}
## Honest annotators beside a spammer

One honest annotator of each team that has a spammer, all kinds together.

{mates}
## Spammers

{spammed} teams with one spammer in each cell. Three numbers: the three others are honest and right in 70 / 80 / 90 %.
The other flags depend on the spammer alone, and the three cells count together; nobody here says `cannot` often.

{hits}
- **A random clicker who takes the time is mostly not found among 20 judgements**: two gold items are too few to test,
  and kappa on 18 items tells little. With 40 judgements a third to two thirds are found, with 100 two thirds to nearly
  all. Where the others are right in 70 %, and so hardly agree with one another, little but the gold items finds one.
  Who alternates between the sides and takes the time is found no better. More gold items help most: see below.
- One who answers the opposite is no easier to find among 20, unless the others agree well; four gold items are enough.
- A flag for speed needs words to read: 1 s is faster than {readable} words a minute from 17 words on the screen on.
- With fewer than three annotators the others have no alpha, and agreement raises no flag.

## Honest annotators who are unlike the others

{odd} annotators in each row, right in 80 %, with 100 judgements, if nothing else is said.

{strange}
A flag is a reason to look. The first rows are the price of the agreement flag: one who is right less often than three
experts does agree with them less than they do with one another. It is only raised while the interval of kappa includes
0, so it goes away with more judgements. **Gold items must be plain**: where they are as hard as all others, their flag
is a test of accuracy and not of attention.

## Three rules for agreement

- **kappa alone**: the interval of kappa with the majority of the others includes 0 or lies below, while the interval of
  the others' alpha lies above 0. With accuracies of .7 the true kappa is about .2: that its interval includes 0 is no
  news.
- **kept**: and besides, kappa is lower than that alpha (95 % interval of the difference, Newcombe's method).
- **alpha rises**: the lower limit of the others' alpha lies above the alpha of all four.

As above, three numbers are for accuracies (of the others) of 70 / 80 / 90 %.

{rules}
The second and the third are about as good; the third needs one more figure, and flags the less accurate among experts
more often the more they judge.

## Gold items: how many

Exact, from the binomial distribution; in brackets, how often the annotator is right on them.

{gold}
## Repeats: what a limit would do

Exact; in brackets, how often the same side comes again. The honest are right in 70 %. Their errors on a repeat are
drawn anew, or half of the variance of what they go by is a lasting view of the item.

{repeats}
Nobody can tell a random clicker from an annotator whose errors are drawn anew at each look: 50 and 56 % are too close.
So the limit keeps to the honest, whichever way they err. What it finds is a choice by the place of the answer, if
repeats exchange the sides.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teams", type=int, default=600, help="teams of four honest annotators in a cell")
    parser.add_argument("--spammed", type=int, default=400, help="teams with one spammer in a cell")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--page", type=Path, default=PAGE, help="the file to write")
    options = parser.parse_args()
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(threads, "1")
    work = jobs(options)
    with ProcessPoolExecutor() as pool:
        measured = dict(zip([job[0] for job in work], pool.map(measure, *zip(*work, strict=True)), strict=True))
    options.page.write_text(page(measured, options), encoding="utf-8")
    missed = list(misses(measured))
    print("\n".join(missed), file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
