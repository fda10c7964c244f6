"""From a judge's reply to a verdict. One strict grammar a form; whatever does not match is invalid, never a guess."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a reply says; `failure` is set, and the rest is empty, where it says nothing usable."""

    preferred: Side | None = None
    strength: Strength | None = None
    reason: str = ""
    failure: str = ""


def parse_verdict(
    text: str, form: VerdictForm, nonce: str, ties: bool = True, words: tuple[str, ...] = LETTERS
) -> Parsed:
    """Read a judge's reply in `form`.

    `nonce` is the word that the verdict line of the nonce form must repeat, `words` are those that the letter form may
    consist of.
    """
    match form:
        case "nonce":
            parsed = _nonce(text, nonce)
        case "brackets":
            parsed = _brackets(text)
        case "letter":
            parsed = _word(text.strip(), words, "")
        case "json":
            parsed = _json(text)
    if parsed.preferred == "tie" and not ties:
        return Parsed(failure="tie: the rubric allows none")
    return parsed


def _nonce(text: str, nonce: str) -> Parsed:
    """`VERDICT <nonce>: A>B` as the last line, and no other verdict under this nonce."""
    lines = text.rstrip().splitlines()
    last = lines[-1].strip() if lines else ""
    head = f"VERDICT {nonce}: "
    if not last.startswith(head):
        return Parsed(failure="no verdict line")
    level = last.removeprefix(head)
    if any(line.strip().startswith(head) and line.strip() != last for line in lines[:-1]):
        return Parsed(failure="two verdicts")
    return _level(level, "\n".join(lines[:-1]).strip())


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


def _json(text: str) -> Parsed:
    """A JSON object, alone or in one code fence, with `verdict` and optionally `reason`."""
    lines = text.strip().splitlines()
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
