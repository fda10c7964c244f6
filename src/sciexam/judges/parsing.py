"""From a judge's reply to a verdict. One strict grammar a form; whatever does not match is invalid, never a guess."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sciexam.judges.settings import VerdictForm
from sciexam.types import Side, Strength

# A is the answer shown first.
LEVELS: dict[str, tuple[Side, Strength | None]] = {
    "A>>B": ("first", "strong"),
    "A>B": ("first", "clear"),
    "A=B": ("tie", None),
    "B>A": ("second", "clear"),
    "B>>A": ("second", "strong"),
}
# MT-Bench says [[A]], [[B]], [[C]]; AlpacaEval names the first answer m and the second M.
SIDES: dict[str, tuple[Side, Strength | None]] = {
    "A": ("first", None),
    "B": ("second", None),
    "C": ("tie", None),
    "=": ("tie", None),
    "m": ("first", None),
    "M": ("second", None),
}
LETTERS = ("A", "B", "=")  # the words of the letter form, unless the template has its own
_END_MARK = re.compile(r"\s*(<[^<>]*>)?\s*")  # white space, or a special token such as <|im_end|>, </s>, <eos>
OUTPUTS: dict[str, Side] = {"Output (a) is better": "first", "Output (b) is better": "second"}  # LLMBar's sentences


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a reply says; `failure` is set, and the rest is empty, where it says nothing usable."""

    preferred: Side | None = None
    strength: Strength | None = None
    reason: str = ""
    failure: str = ""
    criteria: Mapping[str, Side] = field(default_factory=dict)


def parse_verdict(
    text: str,
    form: VerdictForm,
    nonce: str,
    ties: bool = True,
    words: tuple[str, ...] = LETTERS,
    criteria: Sequence[str] = (),
) -> Parsed:
    """Read a judge's reply in `form`.

    `nonce` is the word that the verdict line of the nonce form must repeat, and the line on each of `criteria`, if any
    are given; `words` are those that the letter form may consist of. `ties` is about the overall verdict: on a single
    criterion two answers may always be equal.
    """
    match form:
        case "nonce":
            parsed = _nonce(text, nonce, criteria)
        case "brackets":
            parsed = _brackets(text)
        case "letter":
            parsed = _word(text.strip(), words, "")
        case "json":
            parsed = _json(text)
        case "last-brackets":
            parsed = _last_brackets(text)
        case "output-ab":
            parsed = _output_ab(text)
    if parsed.preferred == "tie" and not ties:
        return Parsed(failure="tie: the rubric allows none")
    return parsed


def probability_second(
    logprobs: Iterable[Mapping[str, float]], said: str, words: tuple[str, ...] = LETTERS, ties: bool = True
) -> float | None:
    """P(second) + P(tie) / 2 among the words that the letter form may consist of, at the place where one was `said`.

    `logprobs` lists for each token of a reply the likeliest tokens there with their natural log probabilities, the one
    that was taken first; a word's probability is that of all tokens that are this word but for white space. With the
    two words m and M this is AlpacaEval's weighted preference less one (arXiv 2404.04475). Without `ties` the word for
    a tie does not count. None where `said` was not taken at the end (white space and marks like <|end|> may follow) or
    does not count, and where no word has a probability.
    """
    halves: dict[Side, int] = {"first": 0, "tie": 1, "second": 2}
    weights = {word: halves[SIDES[word][0]] / 2 for word in words if ties or SIDES[word][0] != "tie"}
    # The last place that says anything: a word before it can only be part of a thought.
    said_at = [place for place in logprobs if not _END_MARK.fullmatch(next(iter(place), ""))]
    if not said_at or next(iter(said_at[-1])).strip() != said or said not in weights:
        return None
    told = [(token.strip(), math.exp(min(logprob, 0.0))) for token, logprob in said_at[-1].items()]
    total = math.fsum(p for word, p in told if word in weights)
    second = math.fsum(weights[word] * p for word, p in told if word in weights)
    return second / total if total > 0 else None


def _nonce(text: str, nonce: str, criteria: Sequence[str]) -> Parsed:
    """`VERDICT <nonce>: A>B` as the last line, and no other verdict under this nonce."""
    lines = text.rstrip().splitlines()
    last = lines[-1].strip() if lines else ""
    head = f"VERDICT {nonce}: "
    if not last.startswith(head):
        return Parsed(failure="no verdict line")
    level = last.removeprefix(head)
    if any(line.strip().startswith(head) and line.strip() != last for line in lines[:-1]):
        return Parsed(failure="two verdicts")
    parsed = _level(level, "\n".join(lines[:-1]).strip())
    return parsed if parsed.failure or not criteria else _on_criteria(parsed, lines[:-1], nonce, criteria)


def _on_criteria(overall: Parsed, lines: Sequence[str], nonce: str, names: Sequence[str]) -> Parsed:
    """`CRITERION <nonce> <name>: A>B`, exactly one line for each criterion, wherever it stands before the last one."""
    head = f"CRITERION {nonce} "
    found: dict[str, Side] = {}
    for line in (line.strip() for line in lines):
        if not line.startswith(head):
            continue
        name, _, word = line.removeprefix(head).partition(": ")
        if name not in names:
            return Parsed(failure="a line on no criterion of the rubric")
        if name in found:
            return Parsed(failure=f"criterion {name!r}: two verdicts")
        if word not in LEVELS:
            return Parsed(failure=f"criterion {name!r}: not one of the five verdicts")
        found[name] = LEVELS[word][0]
    if missing := [name for name in names if name not in found]:
        return Parsed(failure=f"criterion {missing[0]!r}: no verdict line")
    reason = "\n".join(line for line in lines if not line.strip().startswith(head)).strip()
    return replace(overall, reason=reason, criteria=found)


_BRACKETS = re.compile(r"\[\[([^\[\]]{1,5})\]\]|\[RESULT\] ?([ABC])\b")  # wherever it stands
_VERDICT = re.compile(r"\[\[([^\[\]]{1,5})\]\]|\[RESULT\] ([AB])")  # the whole of the last line


def _brackets(text: str) -> Parsed:
    """`[[A]]`, `[[A>>B]]` (MT-Bench, Arena-Hard) or `[RESULT] A` (Prometheus) as the last line, and no other one.

    A verdict in a sentence may be denied or weighed there ("[[A]] would be unfair"), so the line holds nothing else.
    """
    lines = text.rstrip().splitlines()
    verdict = _VERDICT.fullmatch(lines[-1].strip()) if lines else None
    if verdict is None:
        return Parsed(failure="no verdict line")
    word = verdict[1] or verdict[2]
    if {a or b for a, b in _BRACKETS.findall(text)} != {word}:
        return Parsed(failure="two verdicts")
    reason = "\n".join(lines[:-1]).strip()
    return _level(word, reason) if word in LEVELS else _word(word, ("A", "B", "C"), reason)


_TOKEN = re.compile(r"\[\[([^\[\]]*)\]\]")


def _last_brackets(text: str) -> Parsed:
    """One `[[...]]` anywhere, however often it is repeated: how Arena-Hard and JudgeBench read their judges.

    For replies of other tools. It is weaker than a verdict line: a judge that quotes a token out of an answer and gives
    none of its own has said it.
    """
    tokens = set(_TOKEN.findall(text))
    if len(tokens) != 1:
        return Parsed(failure="two verdicts" if tokens else "no verdict")
    word = tokens.pop()
    return _level(word, text.strip()) if word in LEVELS else _word(word, ("A", "B", "C"), text.strip())


def _output_ab(text: str) -> Parsed:
    """`Output (a) is better` or `Output (b) is better` anywhere, and not the other: LLMBar's sentences.

    For replies of other tools, and as weak as `_last_brackets`. Where both occur LLMBar takes (a); here there is none.
    """
    sides = [side for sentence, side in OUTPUTS.items() if sentence in text]
    if len(sides) != 1:
        return Parsed(failure="two verdicts" if sides else "no verdict")
    return Parsed(sides[0], reason=text.strip())


def _json(text: str) -> Parsed:
    """A JSON object, alone or in one code fence, with `verdict` and optionally `reason`."""
    lines = text.strip().split("\n")  # U+2028 and its like may stand in a string, and nowhere else
    if len(lines) > 2 and lines[0].rstrip() in ("```", "```json") and lines[-1].lstrip() == "```":
        lines = lines[1:-1]
    try:
        value = json.loads("\n".join(lines), object_pairs_hook=_once)
    except _TwiceError:
        return Parsed(failure="two verdicts")
    except (ValueError, RecursionError):
        return Parsed(failure="not JSON")
    if not isinstance(value, dict) or not isinstance(value.get("verdict"), str):
        return Parsed(failure="no verdict in the JSON")
    return _level(value["verdict"], str(value.get("reason", "")))


class _TwiceError(Exception):
    """One object with two verdicts."""


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Of two `verdict` keys in one object, the JSON parser would take the second in silence."""
    if sum(key == "verdict" for key, _ in pairs) > 1:
        raise _TwiceError
    return dict(pairs)


def _level(word: str, reason: str) -> Parsed:
    if word not in LEVELS:
        return Parsed(failure="not one of the five verdicts")
    preferred, strength = LEVELS[word]
    return Parsed(preferred, strength, reason)


def _word(word: str, allowed: tuple[str, ...], reason: str) -> Parsed:
    if word not in allowed:
        return Parsed(failure="not one of the verdict letters" if word else "empty")
    preferred, strength = SIDES[word]
    return Parsed(preferred, strength, reason)
