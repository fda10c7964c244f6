"""Documents of a chosen quality: what a phenomenon's own four sentences become in careless hands.

The lower the quality, the more sentences are left out, false, in disorder, padded or said twice, and the more often the
end is missing. A document is a function of the phenomenon, the quality and the draw.
"""

from __future__ import annotations

from random import Random

from sciexam.toy.world import PLACES, Phenomenon, world, written

BEST = 0.9  # the highest quality that is drawn
OF_ANOTHER, FALSE = 0.15, 0.6  # how often a sentence is not true, at the lowest quality
FILLERS = (
    "Well, that is a good question.",
    "Many people ask about this.",
    "There is much more to say.",
    "As everybody knows, this is so.",
    "It is what it is.",
    "We could go on for hours.",
)


def true_document(one: Phenomenon) -> str:
    """All four true sentences in their order."""
    return " ".join(one.truths.values())


def document(one: Phenomenon, quality: float, draw: Random) -> str:
    """A document about a phenomenon; `quality` in [0, 1], where 1 is the true document."""
    careless = 1 - quality

    def happens(chance: float) -> bool:
        return draw.random() < chance * careless

    kept = [place for place in PLACES if not happens(0.5)] or [draw.choice(PLACES)]
    said = [_as_it_is_said(one, place, careless, draw) for place in kept]
    if happens(0.7):
        draw.shuffle(said)
    if happens(0.5):
        said.append(draw.choice(said))
    for _ in range(2):
        if happens(0.5):
            said.insert(draw.randint(0, len(said)), draw.choice(FILLERS))
    text = " ".join(said)
    return _cut_off(text, draw) if happens(0.3) else text


def _as_it_is_said(one: Phenomenon, place: str, careless: float, draw: Random) -> str:
    """What stands at a place: the truth, the phenomenon's own false sentence, or what is true of another phenomenon."""
    lot = draw.random() / careless if careless else 1.0
    if lot < OF_ANOTHER:
        other = draw.choice([other for other in world().values() if other.id != one.id])
        return written(place, getattr(other, place))
    if lot < OF_ANOTHER + FALSE:
        return one.falsehoods.get(place, one.truths[place])
    return one.truths[place]


def _cut_off(text: str, draw: Random) -> str:
    spoken = text.split()
    return " ".join(spoken[: -draw.randint(1, min(6, len(spoken) - 1))])
