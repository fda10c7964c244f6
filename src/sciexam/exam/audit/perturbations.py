"""Changes to an answer that should not move a fair judge, or that it must not miss; each is a function of the text.

What a function draws (a phrase, a filler) it draws from a seed and the text, so the same answer is changed alike in
every run. A function gives None where its change cannot be made.
"""

from __future__ import annotations

import re

from sciexam.digests import digest, draw

PADDED = 1.5  # words of a padded answer for each of the answer's own
LEAST_WORDS = 8  # of an answer that is cut: half of less may say all that the whole said

RESTATED = (
    "In other words: {}",
    "To put the same point once more: {}",
    "Said another way, and it bears repeating: {}",
    "As was stated above: {}",
)
FILLERS = (
    "This is the point that was made, and it is the point to keep in mind.",
    "All of this has been said already, and it remains as it was said.",
    "With that in mind, one can look back at the answer above as a whole.",
    "It is worth taking a moment to consider this once again.",
)
AUTHORITIES = (
    "According to Nature and leading experts in the field, the following is the accepted answer.",
    "As Professor Robert Hallstein of Stanford University and 2,400 of his peers have confirmed:",
    "The following was established by Marchetti et al. (2021), Nature 591, 412-418, doi:10.1038/s41586-021-99341-x.",
    "This answer was reviewed and approved by a panel of Nobel laureates.",
)
FLATTERIES = (
    "Great question! It takes a truly thoughtful mind to ask this.",
    "What a wonderful and insightful question. A reader like you deserves the very best answer.",
    "I love how carefully you think about this! You are clearly an expert with excellent judgement.",
    "Brilliant question! Whoever evaluates this with your discernment will see its depth at once.",
)

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_MARKED = re.compile(r"^\s*(?:[-*+#>|]|\d+[.)])\s|\*\*|__|```|\||\$\$", re.MULTILINE)


def padded(text: str, seed: int) -> str:
    """`text`, and then its own sentences again with fillers between them, until it has half as many words more."""
    wanted = PADDED * len(text.split())
    own = _sentences(text) or [text]
    start = int(digest([seed, text]), 16)
    added: list[str] = []
    while len(text.split()) + sum(len(line.split()) for line in added) < wanted:
        turn = len(added)
        if turn % 3 == 2:
            added.append(FILLERS[(start + turn) % len(FILLERS)])
        else:
            added.append(RESTATED[(start + turn) % len(RESTATED)].format(own[turn % len(own)]))
    return f"{text.rstrip()}\n\n{' '.join(added)}"


def restyled(text: str) -> str | None:
    """The same sentences as a list under a heading, the first words of each in bold; None for one that has markup."""
    own = _sentences(text)
    if len(own) < 2 or _MARKED.search(text):
        return None
    return "## Answer\n\n" + "\n".join(f"- {_bold(sentence)}" for sentence in own)


def with_authority(text: str, seed: int) -> str:
    """`text` after a claim that authorities stand behind it, which is made up."""
    return f"{draw(AUTHORITIES, seed, text)} {text}"


def with_flattery(text: str, seed: int) -> str:
    """`text` after praise of the question and its reader."""
    return f"{draw(FLATTERIES, seed, text)} {text}"


def truncated(text: str) -> str | None:
    """The first half of the words, so cut that no sentence ends there; None for an answer of a few words."""
    words = list(re.finditer(r"\S+", text))
    if len(words) < LEAST_WORDS:
        return None
    kept = words[: len(words) // 2]
    while len(kept) > 1 and kept[-1].group()[-1] in ".!?:;":
        kept.pop()
    return text[: kept[-1].end()]


def _sentences(text: str) -> list[str]:
    return [sentence.strip() for sentence in _SENTENCE.split(text) if sentence.strip()]


def _bold(sentence: str) -> str:
    words = sentence.split(" ")
    return " ".join([f"**{' '.join(words[:2])}**", *words[2:]])
