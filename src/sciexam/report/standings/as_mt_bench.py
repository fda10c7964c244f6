"""MT-Bench's figures: the mean of single ratings by turn, and wins in both games."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sciexam.battles import Battle, cluster
from sciexam.report.evidence import Evidence
from sciexam.report.marking.marks import Marking, of_score, sample_value
from sciexam.report.record import Figure, plain
from sciexam.report.standings.peer_rows import Part, PeerRow, peer_row, score_of_b, win_rate_of
from sciexam.stats import Undefined, mean
from sciexam.stats.mt_bench import mt_bench_pairs, mt_bench_score
from sciexam.types import Prompt

SHOWN = ("turn_1", "turn_2", "average", "win", "loss", "tie", "win_rate_adjusted")
HEADLINES = ("average", "win_rate_adjusted")
RULE = (
    "MT-Bench: the plain mean of single ratings, by turn and of both; a pairwise win only where both games name "
    "the model, or the one that there is, a tie otherwise; comparisons of which a game failed are left out."
)
LEAST_RATING, MOST_RATING = 1.0, 10.0


def mt_bench_rows(part: Part, ratings: Marking | None, compares: bool) -> Iterator[PeerRow]:
    """`ratings` are the single ratings; `compares`: whether the bench compared answers at all."""
    evidence, baseline = part.evidence, part.board.baseline
    baseline_alone = all(a == baseline for a, _ in evidence.pairs) and len(evidence.pairs) > 1
    for name in evidence.contestants:
        given = _ratings(ratings, name)
        by_turn = sorted({_turn(prompt) for prompt, _ in given})
        turns = {turn: [value for prompt, value in given if _turn(prompt) == turn] for turn in by_turn}
        means = {f"turn_{turn}": mt_bench_score(values) for turn, values in turns.items()}
        means |= {"average": mt_bench_score([value for _, value in given])}
        fought = _fought(evidence, name) if compares else []
        pairs = mt_bench_pairs([_score_for(battle, name) for battle in fought])
        left_out = baseline_alone and name == baseline  # MT-Bench has no pairwise row of its baseline
        theirs = {key: value for key, value in means.items() if not isinstance(value, Undefined)}
        theirs |= {} if left_out or isinstance(pairs, Undefined) else plain(pairs)
        why = {key: value.why for key, value in means.items() if isinstance(value, Undefined)}
        why |= {"win_rate_adjusted": pairs.why} if isinstance(pairs, Undefined) else {}
        if theirs:
            ours = {"average": _mean_rating(given), "win rate against the baseline": win_rate_of(part, name)}
            used = [prompt.id for prompt, _ in given] + [battle.prompt for battle in ([] if left_out else fought)]
            yield peer_row(part, name, used, theirs, ours if compares else {"average": ours["average"]}, why)


def _ratings(ratings: Marking | None, name: str) -> list[tuple[Prompt, float]]:
    """Each prompt that has a rating, and the rating."""
    if ratings is None:
        return []
    grades = ratings.marks[0].grades
    found = [
        (prompt, sample_value(grades.get((name, prompt.id, sample), ()), of_score))
        for prompt in ratings.prompts
        for sample in range(ratings.samples)
    ]
    return [(prompt, value) for prompt, value in found if value is not None]


def _turn(prompt: Prompt) -> int:
    """A prompt without a number as its `turn` is of the first."""
    turn = prompt.metadata.get("turn")
    return turn if isinstance(turn, int) else 1


def _fought(evidence: Evidence, name: str) -> list[Battle]:
    return [one for one in evidence.benches[0].battles if name in (one.a, one.b) and one.score is not None]


def _score_for(battle: Battle, name: str) -> float:
    return float(battle.score or 0.0) if battle.a == name else score_of_b(battle)


def _mean_rating(given: Sequence[tuple[Prompt, float]]) -> Figure:
    values = [value for _, value in given]
    inside = all(LEAST_RATING <= value <= MOST_RATING for value in values)
    bounds = {"low": LEAST_RATING, "high": MOST_RATING} if inside else {}
    return mean(values, [cluster(prompt) for prompt, _ in given], **bounds)
