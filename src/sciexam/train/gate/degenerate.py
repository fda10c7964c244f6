"""What training does to a model that went wrong, seen in its answers alone: loops, and what is no text at all.

Both guards are deterministic, need no model and know no language. They are made for what a broken policy says, and
leave sense to the judge: words that are words, in no order, pass here and lose there.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from itertools import groupby

RUN = 5  # times one word in a row
GRAM, REPEATED = 4, 0.5  # words; the share of a text's runs of so many words that stood in it before
FEWEST_GRAMS = 6
BYTES, SQUEEZED = 200, 0.15  # a text of so many bytes or more that is packed into this share of them says one thing
VISIBLE = 8  # characters
LAYOUT = frozenset("|-=_*#~`>+")  # marks that draw tables, lists and headings
LETTERS, FEWEST_WORDS = 5, 4  # of a word that is looked at, and such words
NO_WORDS = 0.34  # the share of these that could not be spoken
FEWEST_LETTERS, SPOKEN = 40, 0.27  # Latin ones, and the share of vowels: drawn letters have .23, languages .35 and more
EAST_ASIAN = ("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "IDEOGRAPHIC", "FULLWIDTH", "HALFWIDTH")
FORMULAS = ("GREEK", "MODIFIER", "MATHEMATICAL", "MICRO", "DOUBLE-STRUCK", "SCRIPT")
VOWELS = frozenset("aeiouy")
CONSONANTS = re.compile(r"[^aeiouy]{6}")
ONE_SOUND = re.compile(r"sch|ch|sh|th|ng|tz")  # that is written with several letters


def is_repetitive(text: str) -> bool:
    """Whether a text says one thing over and over: one word RUN times in a row, or mostly runs of words or of letters
    that it has said before."""
    words = re.findall(r"\w+", text.casefold())
    if any(sum(1 for _ in same) >= RUN for word, same in groupby(words) if not word.isdigit()):
        return True
    grams = [tuple(words[at : at + GRAM]) for at in range(len(words) - GRAM + 1)]
    if len(grams) >= FEWEST_GRAMS and 1 - len(set(grams)) / len(grams) >= REPEATED:
        return True
    packed = text.encode("utf-8", "surrogatepass")
    return len(packed) >= BYTES and len(zlib.compress(packed, 9)) <= SQUEEZED * len(packed)


def is_gibberish(text: str) -> bool:
    """Whether a text is no text in any language: at least as many marks as letters and digits, Latin letters with too
    few vowels among them, or many words that nobody could speak: without a vowel, with six consonants in a row, or of
    several scripts."""
    seen = [
        unicodedata.category(character)[0] for character in text if not character.isspace() and character not in LAYOUT
    ]
    marks = sum(kind not in "LNM" for kind in seen)
    if len(seen) >= VISIBLE and 2 * marks >= len(seen):
        return True
    words = re.findall(r"[^\W\d_]{3,}", text)
    latin = re.findall("[a-z]", unicodedata.normalize("NFD", "".join(words)).casefold())
    if len(latin) >= FEWEST_LETTERS and sum(letter in VOWELS for letter in latin) < SPOKEN * len(latin):
        return True
    long = [word for word in words if len(word) >= LETTERS]
    return len(long) >= FEWEST_WORDS and sum(map(_no_word, long)) >= NO_WORDS * len(long)


def _no_word(word: str) -> bool:
    scripts = {_script(letter) for letter in word} - {""}
    if scripts == {"LATIN"}:
        plain = unicodedata.normalize("NFD", word.casefold())
        letters = "".join(letter for letter in plain if letter.isalpha())
        return not VOWELS & set(letters) or CONSONANTS.search(ONE_SOUND.sub("s", letters)) is not None
    return len(scripts) > 1


def _script(letter: str) -> str:
    """The script that a letter is of. Those of East Asia, which stand in one word, are one; formulas have none."""
    first = unicodedata.name(letter, "").split(" ")[0]
    return "EAST ASIAN" if first in EAST_ASIAN else "" if first in FORMULAS else first
