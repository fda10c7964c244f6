"""Reward against what the judge says, contestant by contestant: whether training for one raised the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sciexam.report.figures.contests import percent, places
from sciexam.report.figures.drawing import WIDTH, Drawing
from sciexam.report.figures.frame import ROOM, SMALL, name_of, scale, ticks_for, width_of
from sciexam.report.figures.palette import Palette
from sciexam.report.figures.panels import LEFT, RIGHT, Panel, draw_panels, height_of
from sciexam.report.figures.words import said, sentences
from sciexam.report.standings.leaderboard import Leaderboard
from sciexam.stats import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 240.0
LINE, NAME = 11.0, 88.0  # points that a name is high, and may be wide


@dataclass(frozen=True, slots=True)
class Stage:
    """One contestant: its reward, and its win rate against the baseline (None for the baseline itself)."""

    name: str
    reward: Estimate
    rate: Estimate | None

    @property
    def at(self) -> tuple[float, float]:
        return self.reward.value, 0.5 if self.rate is None else self.rate.value


def reward_by_stage(board: Leaderboard) -> Iterator[Drawing]:
    """Nothing where fewer than two contestants have a reward and a place against the baseline."""
    stages = [
        Stage(row.contestant, row.reward, row.win_rate if isinstance(row.win_rate, Estimate) else None)
        for row in board.rows
        if isinstance(row.reward, Estimate) and (isinstance(row.win_rate, Estimate) or row.contestant == board.baseline)
    ]
    if len(stages) < 2:
        return
    model = board.reward_model or "the reward model"
    beside = f"win rate against {name_of(board.baseline, ROOM, SMALL)}, by {name_of(board.judge, 100, SMALL)}"
    panel = Panel(
        "",
        lambda axes, palette: _draw(axes, palette, board, stages),
        f"mean reward by {name_of(model, ROOM, SMALL)}",
        beside=beside,
    )
    yield Drawing(
        name="reward-by-stage",
        title="Reward against judged win rate",
        caption=(
            f"The mean reward of each contestant by {model} and its win rate against {board.baseline} by "
            f"{board.judge}, with {percent(board.level)} intervals. An arrow goes from a contestant to what was "
            "trained from it: one to the right that does not rise shows a reward that grew without the judge's favour."
        ),
        words=sentences(f"{one.name}: reward {said(one.reward)}; {_rate(one)}" for one in stages),
        height=height_of([panel], HEIGHT),
        draw=lambda figure, palette: draw_panels(figure, palette, [panel], HEIGHT),
    )


def _rate(one: Stage) -> str:
    return "the baseline" if one.rate is None else f"win rate {said(one.rate)}"


def _draw(axes: Axes, palette: Palette, board: Leaderboard, stages: Sequence[Stage]) -> None:
    place = places(board.contestants)
    reach, ticks, names = ticks_for([edge for one in stages for edge in (one.reward.low, one.reward.high)])
    rates = [edge for one in stages if one.rate for edge in (one.rate.low, one.rate.high)]
    limits, rate_ticks, rate_names = ticks_for([0.5, *rates])
    axes.set_xlim(*reach)
    axes.set_ylim(*limits)
    axes.axhline(0.5, color=palette.ink, lw=0.9, ls=(0, (3, 2.5)), zorder=0)
    where = {one.name: one.at for one in stages}
    for gain in board.lineage:
        if gain.parent in where and gain.contestant in where:
            arrow: dict[str, Any] = {"arrowstyle": "->", "color": palette.quiet, "lw": 1.1, "shrinkA": 6, "shrinkB": 6}
            axes.annotate("", where[gain.contestant], where[gain.parent], arrowprops=arrow, zorder=2)
    for one in stages:
        colour, (x, y) = palette.of(place.get(one.name, 0)), one.at
        axes.plot([one.reward.low, one.reward.high], [y, y], color=colour, lw=1.2, alpha=0.7, zorder=1)
        if one.rate is not None:
            axes.plot([x, x], [one.rate.low, one.rate.high], color=colour, lw=1.2, alpha=0.7, zorder=1)
        axes.plot([x], [y], "o", ms=7, mfc=colour, mec=palette.card, zorder=4)
    _names(axes, palette, stages)
    scale(axes, palette, ticks, names)
    scale(axes, palette, rate_ticks, rate_names, side="left")


Box = tuple[float, float, float, float]  # left, right, bottom, top, in points


def _names(axes: Axes, palette: Palette, stages: Sequence[Stage]) -> None:
    """Each name beside its point, on the first side where it covers no point and no other name."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    wide = WIDTH - LEFT - RIGHT
    points = [
        ((x - left) / (right - left) * wide, (y - low) / (high - low) * HEIGHT) for x, y in (s.at for s in stages)
    ]
    taken: list[Box] = [(x - 4, x + 4, y - 4, y + 4) for x, y in points]
    for one, (x, y) in zip(stages, points, strict=True):
        name = name_of(one.name, NAME, SMALL)
        width = width_of(name, SMALL)
        choices = [
            (x + dx, y + dy, align)
            for dx, dy, align in (
                *((6, 7, "left"), (6, -8, "left"), (-6, 7, "right"), (-6, -8, "right")),
                *((0, 15, "center"), (0, -16, "center"), (14, 20, "left"), (14, -22, "left")),
                *((-14, 20, "right"), (-14, -22, "right"), (0, 28, "center"), (0, -30, "center")),
            )
        ]
        chosen = next((c for c in choices if _is_free(_box(*c, width), taken, wide)), choices[0])
        taken.append(_box(*chosen, width))
        how: dict[str, Any] = {
            "textcoords": "offset points",
            "va": "center",
            "color": palette.ink,
            "size": SMALL,
            "zorder": 6,
        }
        axes.annotate(name, one.at, (chosen[0] - x, chosen[1] - y), ha=chosen[2], **how)


def _box(x: float, y: float, align: str, width: float) -> Box:
    left = x - {"left": 0.0, "right": width, "center": width / 2}[align]
    return left, left + width, y - LINE / 2, y + LINE / 2


def _is_free(box: Box, taken: Sequence[Box], wide: float) -> bool:
    if box[0] < 0 or box[1] > wide or box[2] < 0 or box[3] > HEIGHT:
        return False
    return not any(box[0] < b and a < box[1] and box[2] < d and c < box[3] for a, b, c, d in taken)
