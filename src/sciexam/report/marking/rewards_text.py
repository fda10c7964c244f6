"""Rewards as a sentence and tables: what the console and Markdown print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sciexam.report.marking.leading import Lead, leading
from sciexam.report.marking.rewards import Agreement, Pair, Rewards, Row, Selection
from sciexam.report.record import Figure
from sciexam.report.tables import Table, methods_table, reasons
from sciexam.report.wording import p_value, value
from sciexam.stats import Distribution, Undefined

FLATTERS = (
    "The maximum of noisy scores flatters itself: part of the gain is the luck of the draw, and part of it what the "
    "reward model likes too much. Have the selection judged by someone else before believing it."
)


def sentence_of(found: Rewards) -> str:
    """Whose rewards are higher by each reward model, and whether that is told apart."""
    return " ".join(_leading(found, judge) for judge in dict.fromkeys(row.judge for row in found.rows))


def _leading(found: Rewards, judge: str) -> str:
    rows = {row.contestant: row.distribution for row in found.rows if row.judge == judge}
    means = {name: one if isinstance(one, Undefined) else one.mean for name, one in rows.items()}
    of_judge = [pair for pair in found.pairs if pair.judge == judge]
    leads = [Lead(one.a, one.b, one.compared.difference, one.permutation_holm) for one in of_judge]
    return leading(judge, "reward", means, leads, found.level)


def tables_of(found: Rewards) -> Iterator[Table]:
    """The rewards of each model, then the pairs and the selections by all."""
    for judge in dict.fromkeys(row.judge for row in found.rows):
        yield _rewards([row for row in found.rows if row.judge == judge])
    if found.pairs:
        yield _differences(found.pairs)
        yield _distances(found.pairs)
        yield _people(found)
        yield _selections(found.selections)
    yield from methods_table(_figures(found), found.level)


def _rewards(rows: Sequence[Row]) -> Table:
    columns = ("n", "mean", "sd", "median", "min", "q25", "q75", "max", "not finite", "missing")
    cells = [(row.contestant, *_described(row), str(row.not_finite), str(row.missing)) for row in rows]
    notes = ["Rewards of this model alone: another model's have another unit. A prompt counts once."]
    notes += [f"{row.contestant}: {_reasons(row)}." for row in rows if row.reasons]
    named: dict[str, Sequence[object]] = {
        "all": [row.distribution for row in rows if isinstance(row.distribution, Undefined)],
        "mean": [row.distribution.mean for row in rows if isinstance(row.distribution, Distribution)],
        "median": [row.distribution.median for row in rows if isinstance(row.distribution, Distribution)],
    }
    head = ("contestant", *columns)
    return Table(f"Rewards by {rows[0].judge} ({rows[0].judge_is})", head, cells, (*notes, *reasons(named)))


def _described(row: Row) -> tuple[str, ...]:
    one = row.distribution
    if isinstance(one, Undefined):
        return ("0", *["n/a"] * 7)
    sd = "n/a" if isinstance(one.sd, Undefined) else f"{one.sd:.2f}"
    quantiles = (f"{one.min:z.2f}", f"{one.q25:z.2f}", f"{one.q75:z.2f}", f"{one.max:z.2f}")
    return (str(one.n), value(one.mean), sd, value(one.median), *quantiles)


def _differences(pairs: Sequence[Pair]) -> Table:
    head = ("contestants", "by", "prompts", "difference", "p perm.", "p Wilcoxon", "higher reward")
    rows = [
        (
            _contest(pair),
            pair.judge,
            str(pair.compared.pairs),
            value(pair.compared.difference),
            p_value(pair.permutation_holm),
            p_value(pair.wilcoxon_holm),
            value(pair.win_rate),
        )
        for pair in pairs
    ]
    tested = sum(pair.permutation_holm is not None for pair in pairs)
    notes = (
        "Difference: mean reward of the first named less that of the other, on the same prompts. Higher reward: on how "
        "many prompts the first named has it, equal ones half.",
        f"p of the sign-flip permutation test and of the signed ranks, both Holm-corrected over {tested} "
        f"comparison{'s' if tested != 1 else ''}.",
    )
    named = {
        "difference": [pair.compared.difference for pair in pairs],
        "higher reward": [pair.win_rate for pair in pairs],
    }
    return Table("Differences", head, rows, (*notes, *reasons(named)))


def _distances(pairs: Sequence[Pair]) -> Table:
    named: dict[str, list[Figure]] = {
        "Cliff's delta": [pair.compared.cliffs_delta for pair in pairs],
        "Cohen's d": [pair.compared.cohens_d for pair in pairs],
        "sd ratio": [pair.compared.sd_ratio for pair in pairs],
        "KS": [pair.compared.kolmogorov_smirnov for pair in pairs],
        "Wasserstein": [pair.compared.wasserstein for pair in pairs],
    }
    rows = [
        (_contest(pair), pair.judge, *map(value, figures), p_value(pair.compared.brown_forsythe_p))
        for pair, figures in zip(pairs, zip(*named.values(), strict=True), strict=True)
    ]
    notes = (
        "Of the first named against the other. p spread: Brown and Forsythe's test, not corrected, which takes the two "
        "samples as independent and is a rough guide here.",
    )
    return Table("Effect sizes and spread", ("contestants", "by", *named, "p spread"), rows, (*notes, *reasons(named)))


def _people(found: Rewards) -> Table:
    head = ("contestants", "by", "accuracy", "comparisons", "equal rewards", "people undecided", "no reward")
    rows = [(_contest(pair), pair.judge, *_agreement(pair.people)) for pair in found.pairs]
    several = len({(pair.a, pair.b) for pair in found.pairs}) > 1
    rows += [("all", judge, *_agreement(people)) for judge, people in found.people.items() if several]
    notes = ("Accuracy: how often the higher reward is on the side that people prefer on average; equal rewards half.",)
    named = {"accuracy": [pair.people.accuracy for pair in found.pairs]}
    return Table("Agreement with people", head, rows, (*notes, *reasons(named)))


def _agreement(people: Agreement) -> tuple[str, ...]:
    counts = (people.comparisons, people.equal, people.undecided, people.unrewarded)
    return (value(people.accuracy), *map(str, counts))


def _selections(selections: Sequence[Selection]) -> Table:
    head = ("by", "prompts", "chosen from", "mean", "best alone", "gain over it")
    rows = [
        (
            one.judge,
            str(one.prompts),
            ", ".join(f"{name} {share:.0%}" for name, share in one.shares.items()) or "n/a",
            value(one.mean),
            one.best or "n/a",
            value(one.gain),
        )
        for one in selections
    ]
    notes = ("For each prompt the answer with the highest reward; equal ones share the prompt.", FLATTERS)
    named = {"mean": [one.mean for one in selections], "gain over it": [one.gain for one in selections]}
    return Table("Best of the contestants", head, rows, (*notes, *reasons(named)))


def _figures(found: Rewards) -> Iterator[Figure]:
    for row in found.rows:
        if isinstance(row.distribution, Distribution):
            yield from (row.distribution.mean, row.distribution.median)
    for pair in found.pairs:
        c = pair.compared
        yield from (c.difference, pair.win_rate, c.cliffs_delta, c.cohens_d, c.sd_ratio)
        yield from (c.kolmogorov_smirnov, c.wasserstein, pair.people.accuracy)
    for one in found.selections:
        yield from (one.mean, one.gain)


def _contest(pair: Pair) -> str:
    return f"{pair.b} against {pair.a}"


def _reasons(row: Row, most: int = 5) -> str:
    listed = [f"{count} x {why}" for why, count in row.reasons.items()]
    more = f" and {len(listed) - most} more reasons" if len(listed) > most else ""
    return f"without a reward: {'; '.join(listed[:most])}{more}"
