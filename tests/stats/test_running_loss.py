"""Where a loss spikes, and where it has run away."""

from __future__ import annotations

import math

from sciexam.stats.running_loss import RUN_AWAY, RunningLoss, spikes

CALM = [2.0, 1.9, 1.8, 1.7, 1.6, 1.5]


def at(losses: list[float]) -> tuple[int, ...]:
    return spikes(enumerate(losses, 1))


def ran_away(losses: list[float]) -> bool:
    running = RunningLoss()
    for loss in losses:
        running.add(loss)
    return running.has_run_away


def test_a_spike_is_a_loss_above_three_times_its_running_mean() -> None:
    mean = 2.0
    for loss in CALM[1:]:
        mean = 0.9 * mean + 0.1 * loss
    assert at([*CALM, 3 * mean + 0.01]) == (7,)
    assert at([*CALM, 3 * mean - 0.01]) == ()


def test_a_spike_does_not_raise_the_mean_so_a_second_one_is_told_too() -> None:
    assert at([*CALM, 9.0, 1.4, 9.0, 9.0, 1.3]) == (7, 9, 10)


def test_nothing_is_said_of_the_first_losses() -> None:
    assert at([1.0, 9.0, 1.0, 9.0, 1.0]) == ()


def test_a_loss_about_zero_and_one_that_is_no_number_do_not_spike() -> None:
    assert at([0.001, 0.0, 0.001, -0.001, 0.0005, 0.001, 0.009]) == ()
    assert at([*CALM, math.nan, math.inf, 1.5]) == ()


def test_five_in_a_row_have_run_away_and_four_have_not() -> None:
    assert RUN_AWAY == 5
    assert ran_away([*CALM, 9.0, 9.0, 9.0, 9.0, 9.0])
    assert not ran_away([*CALM, 9.0, 9.0, 9.0, 9.0])
    assert not ran_away([*CALM, 9.0, 9.0, 9.0, 9.0, 1.5, 9.0])
