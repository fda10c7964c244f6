import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from sciexam.stats.elo import elo


def test_a_win_between_equals_moves_half_of_k_and_points_are_kept():
    back = 4 * (1 - 1 / (1 + 10 ** (4 / 400)))  # what y gains against x, who is 4 points ahead
    assert elo(["x", "y"], ["y", "x"], [1, 1], k=4) == pytest.approx({"x": 1002 - back, "y": 998 + back}, rel=1e-14)
    assert elo(["x"], ["y"], [1]) == {"x": 1002, "y": 998}
    assert elo(["x"], ["y"], [0.5]) == {"x": 1000, "y": 1000}


def test_400_points_are_odds_of_ten_to_one():
    board = elo(["x"] * 20_000, ["y"] * 20_000, np.tile([1] * 10 + [0], 1819)[:20_000], k=0.5)
    assert board["x"] - board["y"] == pytest.approx(400, abs=5)


def test_a_gap_too_wide_for_its_odds_to_be_a_number_is_a_certain_win():
    assert elo(["x", "y"], ["y", "x"], [1, 1], k=1e6) == {"x": 1000 + 500_000 - 1e6, "y": 1000 - 500_000 + 1e6}


def test_the_order_of_the_battles_changes_the_scores():
    assert elo(["x", "y", "x"], ["y", "z", "z"], [1, 1, 0]) != elo(["y", "x", "x"], ["z", "z", "y"], [1, 0, 1])


def test_labels_of_numpy_come_out_as_those_of_python():
    board = elo(np.array([3, 4]), np.array([4, 5]), [1, 0])
    assert board == elo([3, 4], [4, 5], [1, 0])
    assert [type(name) for name in board] == [int, int, int]
    assert elo([], [], []) == {}


def test_the_scores_that_evalica_published_for_real_votes(shared_data: Path):
    """golden_evalica.csv: test data of evalica (github.com/dustalov/evalica), start 1000, k 4, base 10, scale 400."""
    with gzip.open(shared_data / "llmfao/crowd.csv.gz", "rt", encoding="utf-8") as file:
        votes = list(csv.DictReader(file))
    points = {"left": 1, "right": 0, "tie": 0.5}
    board = elo([v["left"] for v in votes], [v["right"] for v in votes], [points[v["winner"]] for v in votes])
    with open(shared_data / "llmfao/golden_evalica.csv", encoding="utf-8") as file:
        golden = {row["item"]: float(row["score"]) for row in csv.DictReader(file) if row["algorithm"] == "elo"}
    assert len(golden) == 59
    assert board == pytest.approx(golden, rel=1e-14)


def test_bad_input_is_refused_with_a_sentence():
    with pytest.raises(ValueError, match="a has 1 labels, b has 2, and there are 2 scores"):
        elo(["x"], ["y", "z"], [1, 0])
    with pytest.raises(ValueError, match=r"scores must lie in \[0, 1\]"):
        elo(["x"], ["y"], [2])
    with pytest.raises(ValueError, match="row 1: 'z' meets itself"):
        elo(["x", "z"], ["y", "z"], [1, 0])
    with pytest.raises(ValueError, match="named by strings or integers, not None"):
        elo([None], ["y"], [1])
    with pytest.raises(ValueError, match="start, k, base and scale must be finite"):
        elo(["x"], ["y"], [1], k=float("nan"))
    with pytest.raises(ValueError, match="base must be above 1 and scale above 0"):
        elo(["x"], ["y"], [1], scale=0)
