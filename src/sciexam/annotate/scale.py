"""The scales on which two answers are judged: what stands on the buttons, and what a press of one means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from sciexam.types import Side, Strength

ScaleName = Literal["four-point", "five-point", "choice", "choice-or-tie"]
Hand = Literal["left", "right", "tie"]  # of what an annotator sees


@dataclass(frozen=True, slots=True)
class Option:
    """One button: what it sends, what stands on it, and the key that presses it."""

    value: str
    label: str
    short: str
    key: str
    side: Hand | None = None
    strength: Strength | None = None

    @property
    def preferred(self) -> Side | None:
        """The side in the words of a verdict: the left answer is the first one. None where nothing was judged."""
        return None if self.side is None else preferred(self.side)


def preferred(hand: Hand) -> Side:
    """`hand` in the words of a verdict."""
    words: dict[Hand, Side] = {"left": "first", "right": "second", "tie": "tie"}
    return words[hand]


CANNOT = Option("cannot", "Cannot judge", "cannot judge", "0")

_LEFT_MUCH = Option("left-much", "Left much better", "much better", "", "left", "strong")
_LEFT_SLIGHTLY = Option("left-slightly", "Left slightly better", "slightly", "", "left", "slight")
_LEFT = Option("left", "Left better", "better", "", "left")
_TIE = Option("tie", "Equally good", "equal", "", "tie")
_RIGHT = Option("right", "Right better", "better", "", "right")
_RIGHT_SLIGHTLY = Option("right-slightly", "Right slightly better", "slightly", "", "right", "slight")
_RIGHT_MUCH = Option("right-much", "Right much better", "much better", "", "right", "strong")

_SCALES: Mapping[ScaleName, tuple[Option, ...]] = {
    "four-point": (_LEFT_MUCH, _LEFT_SLIGHTLY, _RIGHT_SLIGHTLY, _RIGHT_MUCH),
    "five-point": (_LEFT_MUCH, _LEFT_SLIGHTLY, _TIE, _RIGHT_SLIGHTLY, _RIGHT_MUCH),
    "choice": (_LEFT, _RIGHT),
    "choice-or-tie": (_LEFT, _TIE, _RIGHT),
}


def options_of(scale: ScaleName) -> tuple[Option, ...]:
    """The buttons of a scale from left to right; their keys count from 1."""
    return tuple(replace(option, key=str(key)) for key, option in enumerate(_SCALES[scale], 1))


def with_tie(scale: ScaleName) -> ScaleName:
    """The scale with a tie, if it has none: whoever adjudicates may leave one."""
    wider: Mapping[ScaleName, ScaleName] = {"four-point": "five-point", "choice": "choice-or-tie"}
    return wider.get(scale, scale)


def option_of(scale: ScaleName, value: str) -> Option | None:
    """The option that sends `value`, a tie that was left included; None where there is none."""
    return next((option for option in (*options_of(with_tie(scale)), CANNOT) if option.value == value), None)
