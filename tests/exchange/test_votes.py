"""Votes become scores, and scores become pairs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sciexam.exchange.votes import Voted, pairs_of, ranked, score_of

ANSWERS = st.lists(st.tuples(st.integers(-5, 200), st.booleans()), max_size=9).map(
    lambda given: [Voted(f"a{n}", votes, accepted, "") for n, (votes, accepted) in enumerate(given)]
)


def test_scores_are_those_of_the_published_rule() -> None:
    # By hand: log2 of 1, 2, 3, 4, 6, 11, 1025 is 0, 1, 1.58, 2, 2.58, 3.46, 10.001.
    assert [score_of(votes, False) for votes in (0, 1, 2, 3, 5, 10, 1024)] == [0, 1, 2, 2, 3, 3, 10]
    assert [score_of(votes, True) for votes in (0, 1, 2, 3)] == [1, 2, 3, 3]
    assert [score_of(-1, False), score_of(-30, False), score_of(-1, True)] == [-1, -1, -1]


@given(ANSWERS)
def test_pairs_are_all_that_differ_or_ten_of_them(answers: list[Voted]) -> None:
    every = {(a.key, b.key) for a in answers for b in answers if a.score > b.score}
    found = [(better.key, worse.key) for better, worse in pairs_of(answers, "seed")]
    assert len(found) == len(set(found)) == min(10, len(every))
    assert set(found) <= every


@given(ANSWERS, st.randoms())
def test_the_order_of_answers_changes_no_pair(answers: list[Voted], random: object) -> None:
    shuffled = answers.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert pairs_of(answers, "seed") == pairs_of(shuffled, "seed")
    assert ranked(answers) == ranked(shuffled)


def test_ten_of_many_pairs_are_drawn_evenly_by_the_seed() -> None:
    answers = [Voted(f"a{n}", 2**n - 1, False, "") for n in range(6)]  # six scores, fifteen pairs
    counts: dict[tuple[str, str], int] = {}
    for seed in range(600):
        for better, worse in pairs_of(answers, str(seed)):
            counts[better.key, worse.key] = counts.get((better.key, worse.key), 0) + 1
    assert len(counts) == 15
    assert 340 < min(counts.values()) <= max(counts.values()) < 460  # 400 each, and 11.5 standard deviation


def test_thousands_of_answers_are_no_matter() -> None:
    answers = [Voted(f"a{n}", n % 1000, False, "") for n in range(20_000)]  # two hundred million pairs
    assert len(pairs_of(answers, "seed")) == 10


def test_of_one_score_the_votes_decide_then_acceptance_then_the_earlier_one() -> None:
    answers = [
        Voted("late", 5, False, "2020-01-02"),
        Voted("early", 5, False, "2020-01-01"),
        Voted("accepted", 2, True, "2021-01-01"),
        Voted("six", 6, False, "2022-01-01"),
    ]
    assert [answer.key for answer in ranked(answers)] == ["six", "early", "late", "accepted"]
