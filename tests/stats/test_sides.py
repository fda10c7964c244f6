"""Whom a score names is said in one place, for one score and for many."""

from pathlib import Path

import numpy as np
import pytest

from sciexam.stats.sides import ROUNDING, side_of, sides_of

SOURCE = Path(__file__).parents[2] / "src" / "sciexam"


@pytest.mark.parametrize(
    ("score", "side"),
    [
        (0.0, -1),
        (0.499, -1),
        (0.5 - 2 * ROUNDING, -1),
        (0.5 - ROUNDING / 2, 0),
        (0.5, 0),
        (sum([0.1] * 5), 0),
        (0.5 + ROUNDING / 2, 0),
        (0.5 + 2 * ROUNDING, 1),
        (1.0, 1),
        (float("nan"), 0),
    ],
)
def test_a_score_names_a_side_unless_it_misses_one_half_by_rounding_alone(score: float, side: int) -> None:
    assert side_of(score) == side
    assert sides_of(np.full((2, 3), score)).tolist() == [[side] * 3] * 2


def test_no_other_place_compares_a_score_with_one_half_and_a_rounding_of_its_own() -> None:
    found = [
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if any(
            text in path.read_text("utf-8") for text in ("0.5 + ROUNDING", "0.5 + 1e-", "- 0.5) < 1e-", "- 0.5) <= 1e-")
        )
    ]
    assert found == ["stats/sides.py"]
