import numpy as np
import pytest

from sciexam.stats import Estimate, Undefined, conclude, equivalent
from sciexam.stats.mean import bounded_interval


def rate(low, high, level=0.95):
    return Estimate((low + high) / 2, low, high, level, 100, "by hand")


@pytest.mark.parametrize(
    ("interval", "p", "margin_test", "expected"),
    [
        (rate(0.51, 0.6), 0.01, None, "better"),
        (rate(0.4, 0.49), 0.01, None, "worse"),
        (rate(0.51, 0.6), 0.01, False, "better"),
        (rate(0.51, 0.6), 0.06, None, "undecided"),
        (rate(0.49, 0.6), 0.01, None, "undecided"),
        (rate(0.5, 0.6), 0.01, None, "undecided"),
        (rate(0.51, 0.6), 0.05, None, "undecided"),
        (rate(0.51, 0.6, level=0.9), 0.1, None, "undecided"),
        (rate(0.51, 0.6, level=0.9), 0.0999, None, "better"),
        (rate(0.51, 0.6), None, None, "undecided"),
        (rate(0.49, 0.52), 0.7, False, "undecided"),
        (rate(0.49, 0.52), 0.7, True, "equivalent"),
        (rate(0.505, 0.52), 0.01, True, "equivalent"),
        (rate(0.51, 0.6, level=0.9), 0.06, None, "better"),
        (Undefined("no prompt has a score"), 0.001, True, "undecided"),
    ],
)
def test_a_conclusion_needs_both_the_interval_and_the_corrected_p_value(interval, p, margin_test, expected):
    assert conclude(interval, p, margin_test) == expected


def test_equivalent_is_the_90_percent_interval_inside_the_margin():
    scores = np.tile([1, 0.5, 0.5, 0], 100)
    _, low, high = bounded_interval(scores, np.ones(400), 0.9, cautious=True)
    half = max(0.5 - low, high - 0.5)
    assert equivalent(scores, half + 1e-6)
    assert not equivalent(scores, half - 1e-6)


def test_a_difference_of_the_margin_passes_in_at_most_5_percent():
    rng = np.random.default_rng(6)
    passed = [equivalent(rng.choice([0, 0.5, 1], 200, p=[0.2, 0.4, 0.4]), 0.1) for _ in range(400)]
    assert np.mean(passed) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_few_prompts_show_no_equivalence_even_when_all_are_ties():
    assert not equivalent([0.5] * 8, 0.1)
    assert equivalent([0.5] * 200, 0.1)
    assert not equivalent([], 0.1)
    assert not equivalent([0.5] * 200, 0.1, ["one group"] * 200)


def test_a_margin_or_alpha_that_means_nothing_is_refused():
    with pytest.raises(ValueError, match=r"margin must lie between 0 and 0\.5, not 5"):
        equivalent([0.5, 0.5], 5)
    with pytest.raises(ValueError, match=r"alpha must lie between 0 and 0\.5, not 0\.5"):
        equivalent([0.5, 0.5], 0.1, alpha=0.5)
