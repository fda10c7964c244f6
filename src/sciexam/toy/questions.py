"""The many ways to ask for a phenomenon: by its question, by its topic, by what is seen of it, by a few of its words.

A model that has read them knows a phenomenon by its words, and so understands the prompts of the exam, none of which is
made here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from random import Random

from sciexam.toy.world import Phenomenon, words, world

KEY_WORDS = 10  # of a phenomenon: those that the fewest others have
AUDIENCES = ("me", "a child", "a pupil", "a student", "a friend", "my class")
FORMS = (
    "{question}",
    "{question} Explain it to {audience}.",
    "Explain {topic} to {audience}.",
    "What is behind {topic}?",
    "{definition} Why?",
    "{definition} Where does that come from?",
)
BY_WORDS = (
    "Tell {audience} about {words}.",
    "How do {words} go together?",
    "{audience} asked about {words}. Why is that?",
    "Why {words}?",
)


def questions(one: Phenomenon, draw: Random) -> Iterator[str]:
    """Questions for one phenomenon without end, some of them more than once; half give its words and no more."""
    asked = ""
    while True:
        form = draw.choice(FORMS if draw.random() < 0.5 else BY_WORDS)
        audience = draw.choice(AUDIENCES)
        filled = form.format(
            question=one.question,
            topic=one.topic,
            definition=one.definition,
            audience=audience,
            words=_some_words(one, draw),
        )
        if filled != asked:
            asked = filled
            yield filled[0].upper() + filled[1:]


def _some_words(one: Phenomenon, draw: Random) -> str:
    """Two to four of its words, now and then with one of another phenomenon among them."""
    chosen = draw.sample(key_words(one.id), draw.randint(2, 4))
    if draw.random() < 0.3:
        chosen.append(draw.choice(key_words(draw.choice(list(world())))))
    draw.shuffle(chosen)
    return f"{', '.join(chosen[:-1])} and {chosen[-1]}"


@cache
def key_words(identity: str) -> tuple[str, ...]:
    """The words by which a phenomenon is known among all, those that the fewest others have first."""
    others, own = _counts(), _spoken(world()[identity])
    return tuple(sorted(own, key=lambda word: (others[word], word))[:KEY_WORDS])


@cache
def _counts() -> Counter[str]:
    """In how many phenomena each word stands."""
    return Counter(word for one in world().values() for word in _spoken(one))


def _spoken(one: Phenomenon) -> set[str]:
    return set(words(" ".join((one.topic, one.question, *one.truths.values()))))
