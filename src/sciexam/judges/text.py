"""An English text as its sentences, words, stems of content words and syllables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

STOPWORDS = (
    *("a", "about", "above", "after", "again", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be"),
    *("because", "been", "before", "being", "below", "between", "both", "but", "by", "can", "could", "did", "do"),
    *("does", "doing", "down", "during", "each", "few", "for", "from", "further", "get", "had", "has", "have"),
    *("having", "he", "her", "here", "him", "his", "how", "i", "if", "in", "into", "is", "it", "its", "just"),
    *("like", "many", "may", "me", "might", "more", "most", "much", "my", "no", "nor", "not", "of", "off", "on"),
    *("once", "one", "only", "or", "other", "our", "out", "over", "own", "please", "same", "she", "should", "so"),
    *("some", "such", "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "those"),
    *("through", "to", "too", "under", "until", "up", "us", "very", "was", "we", "well", "were", "what", "when"),
    *("where", "which", "while", "who", "whom", "why", "will", "with", "would", "you", "your", "yes", "i'm"),
    *("it's", "don't", "can't", "what's", "that's", "explain", "describe", "tell", "give", "make", "way", "thing"),
    *("things"),
)
ABBREVIATIONS = (
    *(("e.g.", "for example"), ("i.e.", "that is"), ("et al.", "et al"), ("etc.", "etc"), ("vs.", "vs")),
    *(("Dr.", "Dr"), ("Mr.", "Mr"), ("Mrs.", "Mrs"), ("Prof.", "Prof"), ("Fig.", "Fig"), ("approx.", "approx")),
    *(("U.S.", "US"), ("St.", "St"), ("%", " percent"), ("\u2019", "'")),
)

CONTENT_FREE = frozenset(STOPWORDS)
LONGEST_WORD = 30  # characters; a longer run is no English word and counts by its characters

WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]*\u201d]{0,3}\s")
LIST_MARKER = re.compile(r"(?:[-*\u2022+]|\d{1,3}[.)]|#{1,6})\s")
VOWELS = re.compile(r"[aeiouy]+")
SILENT = re.compile(r"(?:(?<![td])ed|(?<![scxzgh])es|(?<![^aeiouy]l)e)$")


@dataclass(frozen=True, slots=True)
class Sentence:
    words: tuple[str, ...]  # lower case
    stems: frozenset[str]  # of the content words
    asks: bool  # ends in a question mark


@dataclass(frozen=True, slots=True)
class Text:
    sentences: tuple[Sentence, ...]  # only those with at least one word
    words: tuple[str, ...]
    stems: frozenset[str]


@lru_cache(maxsize=64)  # the six measures read the same few texts one after the other
def read(text: str) -> Text:
    """Sentences, words and stems of a text. List markers are dropped; every line ends a sentence."""
    for short, full in ABBREVIATIONS:
        text = text.replace(short, full)
    sentences = tuple(s for line in text.splitlines() for s in _sentences(line.strip()))
    words = tuple(w for s in sentences for w in s.words)
    return Text(sentences, words, frozenset[str]().union(*(s.stems for s in sentences)))


def _sentences(line: str) -> Iterator[Sentence]:
    marker = LIST_MARKER.match(line)
    for part in SENTENCE_END.split(line[marker.end() :] if marker else line):
        words = tuple(WORD.findall(part.lower()))
        if words:
            stems = frozenset(stem(w) for w in words if w not in CONTENT_FREE)
            yield Sentence(words, stems, part.rstrip("\"')]* \u201d").endswith("?"))


def stem(word: str) -> str:
    """A final s dropped, then the first six letters: scatters, scattering and scattered are one word."""
    return (word[:-1] if word.endswith("s") and not word.endswith("ss") else word)[:6]


@lru_cache(maxsize=50_000)
def syllables(word: str) -> int:
    """Syllables of a lower-case English word: the larger of two counts that both miss some.

    Hyphenation (pyphen, en_US) finds sci-ence but never splits off a single letter (idea, any); groups of vowels less
    a silent e find those but take sci-ence for one.
    """
    if len(word) > LONGEST_WORD:
        return len(word) // 3
    groups = len(VOWELS.findall(SILENT.sub("", word)))
    return max(1, groups, len(_hyphenation().positions(word)) + 1)


@lru_cache(maxsize=1)
def _hyphenation() -> Any:
    from pyphen import Pyphen

    return Pyphen(lang="en_US")
