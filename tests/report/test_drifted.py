"""When anchors say that a judge has changed."""

from __future__ import annotations

import pytest

from sciexam.report.drift import Change, change_of
from sciexam.stats import Undefined


@pytest.mark.parametrize(("at_once", "now", "drifted"), [(0.0, 1.0, True), (1.0, 0.0, False), (0.5, 0.5, False)])
def test_a_judge_that_turned_every_anchor_over_has_changed_though_they_have_no_spread(
    at_once: float, now: float, drifted: bool
) -> None:
    found = change_of("j", "2026-01-01", "2026-01-02", [Change(str(i), at_once, now) for i in range(20)], 20)
    assert isinstance(found.change, Undefined), "all anchors moved alike, so there is no t interval"
    assert found.drifted is drifted
    assert ("has changed" in found.sentence) is drifted
