"""Arena-Hard v2.0's style control, held against a fit of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sciexam.stats import Undefined
from sciexam.stats.arena_hard_style import (
    ALIKE,
    NO_FIT,
    ONE_SIDED,
    ArenaHardStyle,
    arena_hard_style_control,
    style_differences,
)


def field(seed: int, games: int = 600, models: int = 4) -> tuple[list[int], Any, Any, Any, Any]:
    """Whose games, their scores, whether by far, and the styles of both answers: the longer, listed answer wins."""
    rng = np.random.default_rng(seed)
    who = rng.integers(0, models, games)
    own, other = (rng.integers(1, (900, 12, 30, 20), (games, 4)) for _ in range(2))
    lean = (who - 1.5) / 2 + 2 * (own[:, 0] - other[:, 0]) / (own[:, 0] + other[:, 0])
    scores = np.where(rng.random(games) < 0.15, 0.5, rng.random(games) < 1 / (1 + np.exp(-lean)))
    return who.tolist(), scores, rng.random(games) < 0.3, own, other


def test_differences_are_shares_of_length_and_of_densities() -> None:
    [found] = style_differences([[300, 3, 0, 6]], [[100, 1, 2, 0]])
    # Tokens (300 - 100) / 400; headers .01 and .01 a token, list items 0 and .02, bold .02 and 0.
    assert found == pytest.approx([0.5, 0.0, -0.02 / 1.02, 0.02 / 1.02])
    assert style_differences([[0, 5, 0, 0]], [[0, 0, 0, 0]]).tolist() == [[0.0, 0.0, 0.0, 0.0]]


@pytest.mark.parametrize("seed", [1, 2])
def test_scores_are_those_of_a_logistic_regression_by_scikit_learn(seed: int) -> None:
    from sklearn.linear_model import LogisticRegression

    who, scores, strong, own, other = field(seed)
    found = arena_hard_style_control(who, scores, strong, style_differences(own, other))
    # Each verdict by far is three rows, as the origin writes them; a tie is half of a win and half of a loss.
    rows = np.repeat(np.arange(len(who)), np.where(strong, 3, 1))
    dense_own, dense_other = own[:, 1:] / own[:, :1], other[:, 1:] / other[:, :1]
    features = np.column_stack(
        [
            (own[:, 0] - other[:, 0]) / (own[:, 0] + other[:, 0]),
            (dense_own - dense_other) / (dense_own + dense_other + 1),
        ]
    )[rows]
    normalised = (features - features.mean(0)) / features.std(0, ddof=1)
    x = np.hstack([np.eye(4)[np.array(who)[rows]], normalised])
    y, halves = np.repeat([1, 0], len(rows)), np.concatenate([scores[rows], 1 - scores[rows]])
    fit = LogisticRegression(fit_intercept=False, C=np.inf, tol=1e-10, max_iter=2000)
    strengths = fit.fit(np.vstack([x, x]), y, sample_weight=halves).coef_[0]
    for model in range(4):
        row = found[model]
        assert isinstance(row, ArenaHardStyle)
        assert row.score == pytest.approx(100 / (1 + np.exp(-strengths[model])), abs=1e-3)
        assert row.low < row.score < row.high


def test_style_is_taken_out_of_a_model_that_wins_by_it_alone() -> None:
    who, scores, strong, own, other = field(3, games=2000, models=2)
    longer = np.where(np.array(who) == 1, 3, 1)[:, None]  # the second model writes three times as much
    own = own * longer
    lean = 3 * (own[:, 0] - other[:, 0]) / (own[:, 0] + other[:, 0])
    scores = (np.random.default_rng(4).random(len(who)) < 1 / (1 + np.exp(-lean))).astype(float)
    found = arena_hard_style_control(who, scores, strong, style_differences(own, other))
    plain = [scores[np.array(who) == model].mean() for model in (0, 1)]
    assert plain[1] - plain[0] > 0.2
    rows = [found[model] for model in (0, 1)]
    assert all(isinstance(row, ArenaHardStyle) for row in rows)
    assert rows[1].score - rows[0].score == pytest.approx(0, abs=8)  # type: ignore[union-attr]


def test_what_has_no_fit_says_why() -> None:
    who, scores, strong, own, other = field(5)
    won = np.where(np.array(who) == 2, 1.0, scores)
    found = arena_hard_style_control(who, won, strong, style_differences(own, other))
    assert found[2] is ONE_SIDED
    alike = arena_hard_style_control(who, scores, strong, np.zeros((len(who), 4)))
    assert set(alike.values()) == {ALIKE}
    doubled = np.repeat(style_differences(own, other)[:, :1], 4, axis=1)
    assert set(arena_hard_style_control(who, scores, strong, doubled).values()) == {NO_FIT}
    assert all(isinstance(one, Undefined) for one in (ONE_SIDED, ALIKE, NO_FIT))
    with pytest.raises(ValueError, match="600 models, 600 scores, 600 values in strong and 1 differences"):
        arena_hard_style_control(who, scores, strong, [[0, 0, 0, 0]])
    with pytest.raises(ValueError, match="own holds counts that are negative or not finite"):
        style_differences([[-1, 0, 0, 0]], [[1, 0, 0, 0]])
    with pytest.raises(ValueError, match="baseline must have a row for each answer and the columns tokens, headers"):
        style_differences([[1, 0, 0, 0]], [[1, 0]])
