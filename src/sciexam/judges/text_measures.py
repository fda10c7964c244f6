"""Six transparent text measures of a scientific explanation in English, each in [0, 1].

Every measure is a pure function of the prompt's text and the answer. They count cue words, positions, shared words and
syllables: they see the form of an answer and know nothing of its truth. All are rates or saturate, to keep length out
(docs/measures.md says how far that succeeds); an answer without a single word gets 0 from each. Time is linear in the
length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice, pairwise

from sciexam.judges.text import CONTENT_FREE, LONGEST_WORD, Sentence, Text, read, syllables

VERSION = 1  # of the measures, the cue lists and how a text is read: raise it with any change that can change a value

# Cue lists: lower case, words separated by one space. "e.g." and "i.e." are read as in ABBREVIATIONS.
MECHANISM = (
    *("because", "since", "due to", "owing to", "caused by", "cause", "causes", "causing", "leads to", "lead to"),
    *("leading to", "results in", "result in", "resulting in", "results from", "as a result", "so that", "so the"),
    *("which makes", "which means", "this means", "this makes", "by means of", "through", "in turn", "in order to"),
    *("driven by", "depends on", "allows", "allowing", "produces", "producing", "creates", "creating", "converts"),
    *("the process", "mechanism", "when the", "when a", "when an", "as the", "the reason", "therefore", "thereby"),
    *("the more", "first", "then", "next", "responsible for", "makes it", "explains why"),
)
SUPPORT = (
    *("for example", "for instance", "such as", "an example", "examples include", "consider", "imagine", "evidence"),
    *("experiment", "experiments", "observed", "observe", "observation", "observations", "measured", "measurement"),
    *("measurements", "data", "study", "studies", "research", "researchers", "found that", "shows that", "show that"),
    *("shown that", "demonstrated", "demonstrates", "confirmed", "according to", "just as", "similar to", "analogy"),
    *("think of", "like a", "like an", "we see", "can be seen", "in practice", "to illustrate"),
)
CONCLUSION = (
    *("therefore", "thus", "hence", "so", "consequently", "accordingly", "overall", "ultimately", "altogether"),
    *("in conclusion", "to conclude", "in summary", "to summarize", "to summarise", "in short", "in sum", "in brief"),
    *("to sum up", "in essence", "all in all", "taken together", "this is why", "that is why", "this explains"),
    *("that explains", "for this reason", "for these reasons", "as a result", "the result is", "in the end"),
)
CONNECTIVES = (
    *("also", "additionally", "furthermore", "moreover", "besides", "in addition", "similarly", "likewise", "again"),
    *("however", "but", "although", "though", "whereas", "while", "yet", "nevertheless", "instead", "in contrast"),
    *("on the other hand", "conversely", "despite", "rather", "because", "since", "so", "therefore", "thus", "hence"),
    *("consequently", "as a result", "for this reason", "accordingly", "then", "next", "first", "second", "third"),
    *("finally", "afterwards", "meanwhile", "when", "once", "until", "before", "after", "during", "eventually"),
    *("for example", "for instance", "in particular", "specifically", "in fact", "indeed", "that is", "namely"),
    *("in other words", "if", "unless", "in turn", "in short", "in summary", "in conclusion", "overall"),
    *("this", "these", "those", "such", "it", "they", "another", "both", "the same", "the former", "the latter"),
)
STATING = (
    *("is", "are", "was", "were", "means", "mean", "refers", "describes", "states", "consists", "contains", "has"),
    *("have", "had", "can", "cannot", "can't", "does", "do", "don't", "doesn't", "isn't", "aren't", "happens"),
    *("happen", "occurs", "occur", "appears", "appear", "comes", "come", "depends", "depend", "works", "work"),
    *("causes", "cause", "makes", "make", "forms", "form", "produces", "produce", "because", "will", "would"),
)
BACKWARD = (  # a sentence that opens so leans on one before it: it is not the claim
    *("for example", "for instance", "therefore", "thus", "hence", "so", "consequently", "as a result", "however"),
    *("but", "moreover", "furthermore", "additionally", "in addition", "also", "then", "next", "finally", "similarly"),
    *("in conclusion", "in summary", "to summarize", "in short", "overall", "this is why", "that is why", "another"),
)
FILLER = (
    *("great question", "good question", "that's a great", "that's a good", "that is a great", "that is a good"),
    *("sure", "certainly", "absolutely", "of course", "okay", "ok", "well", "hello", "hi", "thank you", "thanks"),
    *("as an ai", "as a language model", "i'm sorry", "i am sorry", "sorry", "i apologize", "i'd be happy"),
    *("i would be happy", "let me", "let's", "here is", "here are", "here's", "to answer", "the question is"),
    *("in this answer", "before we"),
)
ANAPHORA = (
    "yes",
    "no",
    "because",
    "it",
    "this",
    "they",
    "there",
)  # an opening that points straight back at the question
GLOSSES = (
    *("called", "known as", "referred to as", "refers to", "refer to", "defined as", "is the term", "means", "that is"),
    *("in other words", "namely", "or simply", "stands for", "is the process", "consists of"),
)
HEDGES = (
    *("may", "might", "could", "likely", "unlikely", "probably", "possibly", "perhaps", "appears", "appear"),
    *("seems", "seem", "suggests", "suggest", "indicates", "indicate", "generally", "typically", "usually", "often"),
    *("sometimes", "roughly", "approximately", "estimated", "in most cases", "in general"),
    *("tends to", "tend to", "mostly", "largely", "mainly", "under certain", "depending on", "is thought", "believed"),
)
ABSOLUTES = (
    *("always", "never", "obviously", "clearly", "undoubtedly", "certainly", "definitely", "absolutely", "totally"),
    *("completely", "everyone knows", "everybody knows", "no doubt", "without doubt", "without a doubt"),
    *("of course", "proves", "proven", "undeniable", "undeniably", "impossible", "guaranteed", "the only reason"),
    *("100 percent", "literally", "all scientists", "the best", "the worst"),
)
INFORMAL = (
    *("awesome", "cool", "stuff", "things like that", "kinda", "sorta", "gonna", "wanna", "gotta", "yeah", "yep"),
    *("nope", "lol", "haha", "wow", "hey", "guys", "dude", "super", "crazy", "insane", "amazing", "a lot", "lots of"),
    *("tons of", "pretty much", "you know", "i guess", "i think", "i mean", "basically", "like i said", "whatever"),
    *("ok", "okay", "cuz", "etc", "huge", "big deal", "oh"),
)
NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "hundred", "hundreds"),
    *("thousand", "thousands", "million", "millions", "billion", "billions", "trillion", "half", "century", "once"),
    *("twice", "unknown", "infinite", "infinitely"),
)
AMOUNTS = (
    *("how many", "how much", "how long", "how far", "how old", "how often", "how big", "how large", "how fast"),
    *("how tall", "how hot", "how cold", "how deep", "how heavy", "what year", "when did", "when was"),
)
OPENING = 3  # sentences in which a direct answer has answered
GLOSS_IN_BRACKETS = re.compile(r"\([^()]{3,80}\)")
EXCITED = re.compile(r"!|[\U0001F300-\U0001FAFF\u2600-\u27BF]")


def structure(prompt_text: str, answer: str) -> float:
    """Are claim, mechanism, support and conclusion there, in this order? A quarter for each part.

    Claim: a sentence that states something about the question (see `_claim`). Mechanism: full credit when at least one
    sentence in four has a cue of MECHANISM, less in proportion. Support: the same with SUPPORT and one in eight.
    Conclusion: a sentence in the last third that opens with a cue of CONCLUSION. A part whose first sentence (the last,
    for the conclusion) stands before the first sentence of an earlier part gets half. The parts are those of
    Toulmin, The Uses of Argument (1958) and of claim-evidence-reasoning, McNeill & Krajcik (2008).
    """
    text = read(answer)
    n = len(text.sentences)
    if not n:
        return 0.0
    mechanism = [i for i, s in enumerate(text.sentences) if _count(s.words, MECHANISM)]
    support = [i for i, s in enumerate(text.sentences) if _count(s.words, SUPPORT)]
    closing = [i for i in range(max(1, 2 * n // 3), n) if _opens(text.sentences[i], CONCLUSION)]
    parts = (
        (_claim(text, _question(prompt_text)), 1.0),
        (mechanism[0] if mechanism else None, _saturate(len(mechanism) / n, 1 / 4)),
        (support[0] if support else None, _saturate(len(support) / n, 1 / 8)),
        (closing[-1] if closing else None, 1.0),
    )
    total, reached = 0.0, 0
    for place, credit in parts:
        if place is not None:
            total += credit / 4 if place >= reached else credit / 8
            reached = max(reached, place)
    return total


def coherence(prompt_text: str, answer: str) -> float:
    """Do neighbouring sentences hang together? The mean of connectives and shared words over the neighbour pairs.

    Connectives: the share of sentences after the first with a cue of CONNECTIVES among their first four words, less one
    where the first sentence opens with a cue of BACKWARD (it has nothing to lean on), saturating at one in two. Shared
    words: for each pair of neighbours |A & B| / min(|A|, |B|) over the stems of their content words, saturating at
    1/2; a sentence said again word for word shares nothing. One sentence alone has no
    neighbour: 0.5. After the connective and argument-overlap indices of Coh-Metrix (Graesser et al. 2004,
    Behavior Research Methods 36, 193-202).
    """
    text = read(answer)
    if not text.words:
        return 0.0
    pairs = list(pairwise(text.sentences))
    if not pairs:
        return 0.5
    links = sum(_count(b.words[:4], CONNECTIVES) > 0 for _, b in pairs) - _opens(text.sentences[0], BACKWARD)
    shared = sum(_shared(a, b) for a, b in pairs) / len(pairs)
    return (_saturate(max(0, links) / len(pairs), 1 / 2) + shared) / 2


def clarity(prompt_text: str, answer: str) -> float:
    """Is it easy to read? The mean of reading ease, sentence length and explained terms.

    Reading ease: Flesch's 206.835 - 1.015 words per sentence - 84.6 syllables per word (Flesch 1948, J. Applied
    Psychology 32, 221-233), from 0 (very difficult) to 60 (plain English) scaled to [0, 1]. Sentence length: 1 at a
    mean of 8 to 24 words, falling linearly to 0 at 0 and at 48. Explained terms: one gloss (a cue of GLOSSES or a
    bracket) for every eight words of four or more syllables is full credit, and so is having no such word.
    """
    text = read(answer)
    if not text.words:
        return 0.0
    length = len(text.words) / len(text.sentences)
    counts = [syllables(w) for w in text.words]
    ease = 206.835 - 1.015 * length - 84.6 * sum(counts) / len(counts)
    steady = min(1.0, length / 8, max(0.0, (48 - length) / 24))
    hard = sum(c >= 4 for c in counts)
    glosses = _count(text.words, GLOSSES) + len(GLOSS_IN_BRACKETS.findall(answer))
    explained = _saturate(glosses, hard / 8) if hard else 1.0
    return (min(1.0, max(0.0, ease / 60)) + steady + explained) / 3


def directness(prompt_text: str, answer: str) -> float:
    """Does it answer what was asked, at once? The mean of three parts, lowered for an echo of the question.

    Overlap: the share of the question's content stems found in the first three sentences, saturating at half (0.5 for
    a question without content words). Early claim: 1, 1/2 or 1/3 when the first claim is sentence one, two or three,
    else 0. Fit: whether the first three sentences hold what this kind of question asks for (see `_fit`); left out for a
    prompt that asks for something else. The mean is multiplied by the share of the answer's distinct content stems
    that are not in the prompt, saturating at half: repeating the question is no answer.
    """
    text, question = read(answer), _question(prompt_text)
    if not text.words:
        return 0.0
    opening = text.sentences[:OPENING]
    said = frozenset[str]().union(*(s.stems for s in opening))
    asked = frozenset[str]().union(*(s.stems for s in question))
    overlap = _saturate(len(asked & said) / len(asked), 1 / 2) if asked else 0.5
    claim = _claim(text, question)
    early = 0.0 if claim is None or claim >= OPENING else 1 / (1 + claim)
    fit = _fit(question, opening)
    parts = [overlap, early] if fit is None else [overlap, early, fit]
    fresh = len(text.stems - read(prompt_text).stems) / max(1, len(text.stems))
    short_answer = not text.stems and fit  # "Yes." to a yes-or-no question is no echo
    return sum(parts) / len(parts) * (1.0 if short_answer else _saturate(fresh, 1 / 2))


def register(prompt_text: str, answer: str) -> float:
    """Does it sound like science? The mean of caution, terminology and formality.

    Caution: (h + k) / (h + a + 2k) with h hedges (HEDGES, at most four in 100 words are counted), a absolutes
    (ABSOLUTES) and k one for every 50 words; 0.5 without either. Terminology: the share of words of three or more
    syllables among the content words that are no such cue, saturating at 0.3. Formality: 1 minus colloquial words
    (INFORMAL), exclamation marks and emoji, 0 at three in 100 words. On hedges: Hyland, Hedging in Scientific Research
    Articles (1998).
    """
    text = read(answer)
    n = len(text.words)
    if not n:
        return 0.0
    hedges, absolutes, prior = min(_count(text.words, HEDGES), n / 25), _count(text.words, ABSOLUTES), n / 50
    caution = (hedges + prior) / (hedges + absolutes + 2 * prior)
    attitude = _by_first_word(HEDGES).keys() | _by_first_word(ABSOLUTES).keys() | CONTENT_FREE
    content = [w for w in text.words if w not in attitude]
    terms = sum(syllables(w) >= 3 and len(w) <= LONGEST_WORD for w in content) / max(1, len(content))
    slips = (_count(text.words, INFORMAL) + len(EXCITED.findall(answer))) / n
    return (caution + _saturate(terms, 0.3) + 1 - _saturate(slips, 0.03)) / 3


def repetition(prompt_text: str, answer: str) -> float:
    """1 when nothing is repeated: the share of distinct ones among the runs of four words.

    Distinct-n of Li et al. (2016, NAACL, 110-119) with n = 4, where ordinary prose of any length stays near 1; an
    answer of fewer than four words is one run. A run of more than 30 characters without a space is cut into its
    characters, so that a single letter held down, and writing without spaces, count as well.
    """
    units = list(_units(read(answer).words))
    if not units:
        return 0.0
    runs = list(zip(*(islice(units, i, None) for i in range(4)), strict=False)) or [tuple(units)]
    return len(set(runs)) / len(runs)


MEASURES: dict[str, Callable[[str, str], float]] = {
    "structure": structure,
    "coherence": coherence,
    "clarity": clarity,
    "directness": directness,
    "register": register,
    "repetition": repetition,
}


def _saturate(value: float, full: float) -> float:
    return min(1.0, value / full)


def _shared(a: Sentence, b: Sentence) -> float:
    if a.words == b.words or not a.stems or not b.stems:
        return 0.0
    return _saturate(len(a.stems & b.stems) / min(len(a.stems), len(b.stems)), 1 / 2)


def _units(words: tuple[str, ...]) -> Iterator[str]:
    for word in words:
        yield from (word,) if len(word) <= LONGEST_WORD else word


@lru_cache(maxsize=32)
def _by_first_word(cues: tuple[str, ...]) -> dict[str, list[tuple[str, ...]]]:
    table: dict[str, list[tuple[str, ...]]] = {}
    for cue in cues:
        first, *rest = cue.split()
        table.setdefault(first, []).append(tuple(rest))
    return table


def _count(words: tuple[str, ...], cues: tuple[str, ...]) -> int:
    """At how many words does a cue begin?"""
    table = _by_first_word(cues)
    return sum(
        any(words[i + 1 : i + 1 + len(rest)] == rest for rest in table[w]) for i, w in enumerate(words) if w in table
    )


def _opens(sentence: Sentence, cues: tuple[str, ...]) -> bool:
    words = sentence.words
    return any(words[1 : 1 + len(rest)] == rest for rest in _by_first_word(cues).get(words[0], ()))


def _question(prompt_text: str) -> tuple[Sentence, ...]:
    """The sentences of the prompt that ask; its first sentence where none does."""
    sentences = read(prompt_text).sentences
    return tuple(s for s in sentences if s.asks) or sentences[:1]


def _claim(text: Text, question: tuple[Sentence, ...]) -> int | None:
    """Index of the first sentence that states something about the question, or None.

    It has a cue of STATING, is not itself a question, does not open with a cue of FILLER or BACKWARD, and shares a
    content stem with the question (if that has any) or, as the first sentence, opens with a word of ANAPHORA.
    """
    topic = frozenset[str]().union(*(s.stems for s in question))
    for i, s in enumerate(text.sentences):
        on_topic = not topic or bool(topic & s.stems) or (i == 0 and _opens(s, ANAPHORA))
        if _count(s.words, STATING) and on_topic and not s.asks and not _opens(s, FILLER) and not _opens(s, BACKWARD):
            return i
    return None


def _fit(question: tuple[Sentence, ...], opening: tuple[Sentence, ...]) -> float | None:
    """Does the opening hold what this kind of question asks for? None when the kind is not known.

    Why and how: a cue of MECHANISM. How many, how far, when ...: a number. Is, does, can ...: a cue of STATING or a yes
    or no in the first sentence. What, which, who, where: a cue of STATING.
    """
    words = tuple(w for s in question for w in s.words)
    if not words:
        return None
    said = tuple(w for s in opening for w in s.words)
    if _count(words, AMOUNTS):
        return float(any(w[0].isdigit() for w in said) or _count(said, NUMBERS) > 0)
    if _count(words, ("why", "how", "reason", "cause", "causes")):
        return float(_count(said, MECHANISM) > 0)
    if words[0] in ("is", "are", "was", "were", "do", "does", "did", "can", "could", "will", "would", "has", "have"):
        return float(_opens(opening[0], ("yes", "no")) or _count(opening[0].words, STATING) > 0)
    if words[0] in ("what", "what's", "whats", "which", "who", "where"):
        return float(_count(said, STATING) > 0)
    return None
