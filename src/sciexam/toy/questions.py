"""The many ways to ask for a phenomenon: by its question, by its topic, by what is seen of it, or in
other words around a few of its own.

A model that has read them knows a phenomenon by its words, and so understands the prompts of the exam, none of which is
made here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from random import Random

from sciexam.toy.world import Phenomenon, world

KEY_WORDS = 12  # of a phenomenon: those that the fewest others have
AUDIENCES = ("me", "a child", "a pupil", "a student", "a friend", "my class")
PLAIN = (
    "{question}",
    "{question} Explain it to {audience}.",
    "Explain {topic} to {audience}.",
    "What is behind {topic}?",
    "{definition} Why?",
    "{definition} Where does that come from?",
)
# Asked in other words than the phenomenon's own, around a few of those.
OPENINGS = (
    "Last winter my sister noticed {a} while we were waiting for a bus.",
    "In an old book at school there was a chapter about {a}.",
    "Nobody at home could tell me anything about {a}.",
    "Everyone in the village talks of {a}, but few have looked closely.",
    "Yesterday our teacher drew {a} on the board.",
    "It is easy to see {a}, and harder to understand it.",
    "Some people believe that {a} must be a trick.",
    "When I was younger, {a} seemed quite ordinary.",
    "",
    "",
    "",
    "",
)
ENDINGS = (
    "Why does {b} have so much to do with {c}?",
    "How can {b} make such a difference to {c}?",
    "Why would {b} come with {c}, however often one tries?",
    "How does {b} bring about {c} in a matter of minutes?",
    "Why is {b} never found without {c}?",
    "How do we get from {b} to {c} and {d}?",
    "Why {b}, {c} and {d}?",
    "What makes {b} so different when there is {c}?",
    "Why not {b} instead of {c}?",
    "How did anyone find out about {b} and {c}?",
)


def questions(one: Phenomenon, draw: Random) -> Iterator[str]:
    """Questions for one phenomenon without end, some of them more than once; most give a few of its words."""
    while True:
        if draw.random() < 0.3:
            form, audience = draw.choice(PLAIN), draw.choice(AUDIENCES)
            yield form.format(question=one.question, topic=one.topic, definition=one.definition, audience=audience)
        else:
            form = f"{draw.choice(OPENINGS)} {draw.choice(ENDINGS)}".strip()
            yield form.format(**dict(zip("abcd", draw.sample(key_words(one.id), 4), strict=True)))


@cache
def key_words(identity: str) -> tuple[str, ...]:
    """The words by which a phenomenon is known among all, those that the fewest others have first."""
    own, others = _spoken(world()[identity]), _counts()
    return tuple(sorted(own, key=lambda word: (others[word.lower()], word))[:KEY_WORDS])


def recognised(question: str) -> str:
    """The phenomenon whose key words a question has the most of."""
    said = set(re.findall(r"[\w./']+", question.lower()))
    return max(world(), key=lambda identity: len(said & {word.lower() for word in key_words(identity)}))


@cache
def _counts() -> Counter[str]:
    """In how many phenomena each word stands."""
    return Counter(word for one in world().values() for word in {spoken.lower() for spoken in _spoken(one)})


def _spoken(one: Phenomenon) -> set[str]:
    """Its words as they stand within a sentence: what is upper case there is a name."""
    said = " ".join((one.topic, one.question, one.definition, *one.truths.values()))
    found = set(re.findall(r"(?<![.?] )(?<!^)\b[A-Za-z0-9]+(?:[./'][A-Za-z0-9]+)*", said))
    return {word for word in found if word.lower() not in found - {word}}
