"""A world small enough to train PPO in: what a good answer is, is known; what the annotator likes, is nearly that.

Questions ask for one of some topics. A good answer has four parts in order, each once. The annotator counts how many
of the words of these parts it finds, and prefers the answer with more: among what people write that is the better one,
and among what a policy can be driven to write it is not.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TOPICS = ("tides", "rust", "clouds", "fever", "yeast", "magnets", "glaciers", "rainbows", "volcanoes", "enzymes")
FORMS = ("Explain {}.", "Why are there {}?", "What about {}?", "Tell me of {}.", "How do {} work?", "Describe {}.")
MECHANISMS = ("heat moves", "water flows", "light bends", "ions drift", "air rises", "cells divide")
OPENINGS = ("First ,", "For example ,", "In short ,")
FILLER = ("well", "indeed", "you know", "so to say")
LIKED = ("is", "First", "example", "short")  # a word of each part


def prompts() -> list[dict[str, str]]:
    return [
        {"id": f"{topic}-{form}", "text": FORMS[form].format(topic)} for form in range(len(FORMS)) for topic in TOPICS
    ]


def parts_of(topic: str) -> list[str]:
    place = TOPICS.index(topic)
    said = [MECHANISMS[(place + step) % len(MECHANISMS)] for step in range(4)]
    return [f"{topic} is why {said[0]} .", *(f"{word} {what} ." for word, what in zip(OPENINGS, said[1:], strict=True))]


def document(topic: str, draw: random.Random) -> str:
    """What somebody writes: parts left out, put elsewhere, or with filler in between."""
    quality = draw.random()
    parts = [part for part in parts_of(topic) if draw.random() < 0.35 + 0.6 * quality]
    if draw.random() > quality:
        draw.shuffle(parts)
    for _ in range(draw.randrange(3)):
        if draw.random() > quality:
            parts.insert(draw.randrange(len(parts) + 1), f"{draw.choice(FILLER)} .")
    return " ".join(parts) or f"{draw.choice(FILLER)} ."


def topic_of(prompt: str) -> str:
    return next(topic for topic in TOPICS if topic in prompt)


def true_score(prompt: str, answer: str, ended: bool) -> float:
    """In [0, 1]: the share of the four parts that are there, right, in order and once; nought for one without end."""
    if not ended:
        return 0.0
    said = [part.strip() + " ." for part in answer.split(".") if part.strip()]
    wanted = parts_of(topic_of(prompt))
    places = [said.index(part) for part in wanted if part in said]
    in_order = sum(a < b for a, b in itertools.pairwise(places)) / 3
    waste = max(0, len(said) - len(set(said) & set(wanted)))
    return max(0.0, 0.7 * len(places) / 4 + 0.3 * in_order - 0.15 * waste)


def annotator(answer: str, draw: random.Random) -> float:
    words = answer.split()
    return sum(words.count(word) for word in LIKED) + draw.gauss(0.0, 0.3)


def write_documents(path: Path, number: int, seed: int) -> Path:
    draw = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for _ in range(number):
            asked = draw.choice(prompts())["text"]
            line = {"prompt": asked, "completion": document(topic_of(asked), draw)}
            file.write(json.dumps(line) + "\n")
    return path


def pairs(answers: Sequence[tuple[Any, Sequence[str]]], seed: int) -> list[tuple[Any, str, str]]:
    """(prompt, chosen, rejected) of each two answers to a prompt that the annotator does not find equal."""
    draw, found = random.Random(seed), []
    for prompt, said in answers:
        marks = [annotator(one, draw) for one in said]
        for i in range(len(said) - 1):
            one, other = (i, i + 1) if marks[i] > marks[i + 1] else (i + 1, i)
            found.append((prompt, said[one], said[other]))
    return found
