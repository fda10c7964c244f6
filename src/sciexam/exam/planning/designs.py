"""Which designs of an exam there are to choose from, what each finds and costs, and which of them to take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sciexam.exam.cost import Party, cost_of
from sciexam.exam.markers import Marker
from sciexam.exam.planning.grounds import variance_of
from sciexam.exam.planning.pilot import Pilot
from sciexam.exam.recordings import is_recorded
from sciexam.report.planning.costs import Orders
from sciexam.report.planning.outlook import Budget, Design, Effect, Ground
from sciexam.stats.estimate import Undefined
from sciexam.stats.power import detectable_win_rate, prompts_needed
from sciexam.suite import Suite
from sciexam.types import HUMANS

LEVEL = 0.95
SIZES = (25, 50, 100, 200, 500, 1000, 2000)
SAMPLES = (1, 2, 4)  # that a budget is weighed over
MOST_PROMPTS = 100_000  # that a budget is spent on
CENT = 1e-9  # USD by which a design may exceed a budget: rounding


@dataclass(frozen=True, slots=True)
class Exam:
    """Everything that a design is judged by.

    `absent`: why the exam cannot be held yet, or an empty text. `unready`: why judges cannot be asked here and now.
    `equal`: how many pairs of answers at hand are two equal texts, and how many there are.
    `answered`: the places in the suite of the prompts that everyone whose answers are recorded has answered; None where
    no answers are recorded.
    """

    suite: Suite
    contestants: tuple[str, ...]
    absent: str
    unready: tuple[str, ...]
    markers: tuple[Marker, ...]
    grounds: tuple[Ground, ...]
    parties: tuple[Party, ...]
    equal: tuple[int, int]
    orders: tuple[Orders, ...]  # to choose from
    samples: int
    power: float
    pilot: Pilot | None
    answered: tuple[int, ...] | None

    @property
    def pairs(self) -> int:
        return len(self.contestants) * (len(self.contestants) - 1) // 2

    @property
    def comparisons(self) -> int:
        return self.pairs * len(self.markers)

    @property
    def there(self) -> int:
        """The prompts that can be compared as things are; those of the suite where none is answered yet."""
        return len(self.answered or self.suite.prompts)

    @property
    def foreign(self) -> tuple[str, ...]:
        """The judges of which nobody knows what they call."""
        return tuple(marker.name for marker in self.markers if marker.foreign)

    @property
    def recorded(self) -> tuple[str, ...]:
        """The judges whose verdicts are in a file, and who judge nothing else."""
        return tuple(marker.name for marker in self.markers if marker.recorded)

    def by_people(self, prompts: int, labels: int | None) -> tuple[int, int]:
        """The prompts that people are to judge where these are compared, or labelled; and those they have judged."""
        asked = prompts if any(marker.human and not marker.recorded for marker in self.markers) else 0
        return max(asked, labels or 0), self.pilot.judged(HUMANS) if self.pilot else 0

    def variances(self, orders: Orders, samples: int) -> list[float]:
        return [variance_of(m, g.components, orders, samples) for m, g in zip(self.markers, self.grounds, strict=True)]

    def design(self, prompts: int, orders: Orders, samples: int, note: str = "") -> Design:
        """The design with what it finds by every judge, which is what the least sensitive of them finds."""
        found = [
            detectable_win_rate(prompts, variance, power=self.power, level=LEVEL, comparisons=self.comparisons)
            for variance in self.variances(orders, samples)
        ]
        nothing = next((one for one in found if isinstance(one, Undefined)), None)
        finds = nothing or max(one for one in found if not isinstance(one, Undefined))
        return Design(prompts, orders, samples, finds, cost_of(self.parties, prompts, orders, samples), note)


def table(exam: Exam, size: int | None) -> Iterator[Design]:
    """Designs of round sizes, of the suite's, and of `size`, in each choice of orders."""
    whole = len(exam.suite.prompts)
    notes = {whole: "in suite"}
    if exam.answered and len(exam.answered) < whole:
        notes[len(exam.answered)] = "answered"
    if size is not None:
        notes.setdefault(size, "asked for")
    for orders in exam.orders:
        for prompts in sorted({*SIZES, *notes}):
            yield exam.design(prompts, orders, exam.samples, notes.get(prompts, ""))


def find(exam: Exam, effect: float) -> Effect:
    """The designs that find a win rate of `effect`, one for each choice of orders."""
    designs = []
    why = ""
    for orders in exam.orders:
        needed = [
            prompts_needed(effect, variance, power=exam.power, level=LEVEL, comparisons=exam.comparisons)
            for variance in exam.variances(orders, exam.samples)
        ]
        known = [one for one in needed if not isinstance(one, Undefined)]
        if len(known) == len(needed):
            designs.append(exam.design(max(known), orders, exam.samples))
        else:
            why = next(one.why for one in needed if isinstance(one, Undefined))
    return Effect(max(effect, 1 - effect), tuple(designs), why)


def spend(exam: Exam, usd: float, samples: int | None) -> Budget:
    """What `usd` buys, and what it buys with no more prompts than are there; `samples` where they are not free."""
    unpriced = sorted({party.rate.model for party in exam.parties if party.rate.usd is None})
    if unknown := [*unpriced, *exam.foreign]:
        return Budget(usd, (), None, why=f"what a call of {', '.join(unknown)} costs is not known")
    if not exam.parties:
        return Budget(usd, (), None, why="no model is called, so nothing has to be paid")
    if not any(party.rate.usd for party in exam.parties):
        return Budget(usd, (), None, why="every call costs nothing")
    choices = [(orders, number) for orders in exam.orders for number in _sample_choices(exam, samples)]
    affordable = [(_affordable(exam, usd, *choice), *choice) for choice in choices]
    designs = tuple(exam.design(*one) for one in affordable if one[0])
    if not designs:
        return Budget(usd, (), None, why="they do not pay for a single prompt")
    best = _best(designs)
    if best is None:
        return Budget(usd, designs, None, why="what they buy is too little to find anything")
    there = exam.there
    within = _best([exam.design(min(design.prompts, there), design.orders, design.samples) for design in designs])
    return Budget(usd, designs, best, within if best.prompts > there else None)


def choose(
    exam: Exam, size: int | None, sought: Effect | None, bought: Budget | None
) -> tuple[Design, tuple[str, ...]]:
    """The design to take, and what is said of it. Of two that find the same, one that needs no new prompts is taken,
    then the cheaper one by known prices, then what `compare` does by itself.
    """
    found = sought.designs if sought is not None else ()
    cheapest = min(found, key=lambda d: (d.prompts > exam.there, _price(d), exam.orders.index(d.orders)), default=None)
    if bought is None or bought.best is None:
        return cheapest or exam.design(size or exam.there, exam.orders[0], exam.samples), ()
    if sought is None:
        return bought.best, ()
    paid = [design for design in found if (design.cost.usd_left or 0) <= bought.usd + CENT]
    if paid:
        chosen = cheapest if cheapest in paid else paid[0]
        return chosen or paid[0], (f"{bought.usd:,.2f} USD are enough to find a win rate of {sought.win_rate:g}.",)
    reach = f"what they buy finds {_finds(bought.best):.3f}"
    said = f"{bought.usd:,.2f} USD are not enough to find a win rate of {sought.win_rate:g}: {reach}."
    return bought.best, (said,)


def _price(design: Design) -> float:
    """What is still to pay, in USD; nothing where a price is not known."""
    return design.cost.usd_left or 0.0


def _best(designs: Sequence[Design]) -> Design | None:
    finding = [design for design in designs if not isinstance(design.finds, Undefined)]
    return min(finding, key=lambda design: (_finds(design), design.samples, design.orders), default=None)


def _finds(design: Design) -> float:
    return 1.0 if isinstance(design.finds, Undefined) else design.finds


def _sample_choices(exam: Exam, samples: int | None) -> tuple[int, ...]:
    """More samples are weighed where the pilot says what they do, and every contestant can give another answer."""
    known = all(not isinstance(ground.components.sample, Undefined) for ground in exam.grounds)
    drawn = all(
        not is_recorded(exam.suite, name) and exam.suite.generation_of(name).temperature != 0
        for name in exam.contestants
    )
    return tuple(sorted({*SAMPLES, exam.samples})) if samples is None and known and drawn else (exam.samples,)


def _affordable(exam: Exam, usd: float, orders: Orders, samples: int) -> int:
    """The most prompts whose calls, less the stored ones, cost no more than `usd`."""

    def fits(prompts: int) -> bool:
        left = cost_of(exam.parties, prompts, orders, samples).usd_left
        return left is not None and left <= usd + CENT

    low, high = 0, MOST_PROMPTS
    if fits(high):
        return high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
