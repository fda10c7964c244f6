"""One sample of an Inspect log: a prompt, an answer, and what scorers said of it.

A sample is a prompt, its epoch a sample of the model's answer; of several tasks, each is a category, and stands before
the ids. A score becomes a reward by its scorer: C, P, I and N are 1, 1/2, 0 and 0, and each number of a mapping is a
reward of its own. A score that says which two models it compares (`model_a` and `model_b` in its metadata or the
sample's, maybe `response_a` and `response_b`, and A, B or C for a tie as its answer) is a verdict.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from sciexam.exchange.conversation import said, turns_of
from sciexam.exchange.landing import Landing, Place, shown
from sciexam.types import Side

EPOCHS = 1_000_000
WORDS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
SIDES: dict[str, Side] = {"A": "first", "B": "second", "C": "tie", "tie": "tie", "A=B": "tie"}


def read_sample(at: Place, sample: Mapping[str, Any], model: str, task: str | None, landing: Landing) -> None:
    """Tell the landing a sample of a log of `model`; `task` where there are several."""
    id, epoch = sample.get("id"), sample.get("epoch", 1)
    if isinstance(id, bool) or not isinstance(id, (str, int)) or not isinstance(epoch, int) or not 0 < epoch <= EPOCHS:
        landing.fault(at, f"id and epoch: a name and a number from 1, these are {shown(id)} and {shown(epoch)}")
        return
    prompt = str(id) if task is None else f"{task}/{id}"
    asked = _asked(sample)
    if asked is None:
        landing.left_out(at, "its input holds tools or pictures, or does not end with the user")
        return
    target = sample.get("target")
    kept = {"metadata": sample.get("metadata") or {}, "choices": sample.get("choices"), "target": target}
    reference = target if isinstance(target, str) and target else None
    landing.prompt(at, prompt, asked, category=task, reference=reference, kept=kept)
    text = _answer(sample)
    if text is None:
        error = sample.get("error")
        landing.left_out(at, "ended in an error, without an answer" if error else "no answer that is a text")
    else:
        landing.response(at, model, prompt, text, sample=epoch - 1)
    scores = sample.get("scores")
    if not isinstance(scores, (dict, type(None))):
        landing.fault(at, f"scores: an object by scorer, this is {shown(scores)}")
        return
    for scorer, score in (scores or {}).items():
        if not isinstance(score, dict):
            landing.fault(at, f"scores.{scorer}: an object with a value, this is {shown(score)}")
        elif not _verdict(at, sample, scorer, score, prompt, epoch - 1, landing) and text is not None:
            _rewards(at, model, scorer, score, prompt, epoch - 1, landing)


def _asked(sample: Mapping[str, Any]) -> str | list[dict[str, str]] | None:
    """The question, or its messages; None where they are not texts of system, user and assistant up to the user."""
    if isinstance(sample.get("input"), str):
        return _whole(sample, sample["input"])
    turns = turns_of(sample.get("input"))
    roles = [role for role, _ in turns or ()]
    if turns is None or roles[-1] != "user" or not {*roles} <= {"system", "user", "assistant"}:
        return None
    return [{"role": role, "content": _whole(sample, text)} for role, text in turns]


def _answer(sample: Mapping[str, Any]) -> str | None:
    output = sample.get("output")
    if not isinstance(output, dict):
        return None
    text = output.get("completion")
    if not isinstance(text, str) or not text:
        choices = output.get("choices") or [{}]
        message = choices[0].get("message") if isinstance(choices, list) and isinstance(choices[0], dict) else None
        text = said(message.get("content")) if isinstance(message, dict) else text
    return _whole(sample, text) if isinstance(text, str) and text else None


def _whole(sample: Mapping[str, Any], text: str) -> str:
    """A text that is kept among the sample's attachments, from there."""
    attachments = sample.get("attachments")
    kept = attachments.get(text.removeprefix("attachment://")) if isinstance(attachments, dict) else None
    return kept if isinstance(kept, str) and text.startswith("attachment://") else text


# ---------------------------------------------------------------- its scores


def _verdict(
    at: Place,
    sample: Mapping[str, Any],
    scorer: str,
    score: Mapping[str, Any],
    prompt: str,
    epoch: int,
    landing: Landing,
) -> bool:
    """Take a score for a verdict, where it says which two models it compares."""
    about = {key: one for told in (sample, score) for key, one in _metadata(told).items()}
    first, second = about.get("model_a"), about.get("model_b")
    if not isinstance(first, str) or not isinstance(second, str):
        return False
    label = score.get("answer") or score.get("value")
    side = SIDES.get(label) if isinstance(label, str) else None
    if side is None:
        landing.fault(at, f"scores.{scorer}.answer: {shown(label)} is none of {', '.join(SIDES)}")
        return True
    for name, key in ((first, "response_a"), (second, "response_b")):
        if isinstance(about.get(key), str):
            landing.response(at, name, prompt, about[key], sample=epoch)
    reason = score.get("explanation")
    landing.verdict(
        at,
        prompt,
        first,
        second,
        rater=scorer,
        preferred=side,
        sample=epoch,
        reason=reason if isinstance(reason, str) else "",
    )
    return True


def _metadata(told: Mapping[str, Any]) -> dict[str, Any]:
    found = told.get("metadata")
    return found if isinstance(found, dict) else {}


def _rewards(
    at: Place, model: str, scorer: str, score: Mapping[str, Any], prompt: str, epoch: int, landing: Landing
) -> None:
    value = score.get("value")
    parts = value if isinstance(value, dict) else {"": value}
    for part, one in parts.items():
        rater = f"{scorer}/{part}" if part else scorer
        reward = _number(one)
        if reward is None:
            landing.left_out(at, f"the score of {rater} is no number")
            continue
        kept = {"value": one, "answer": score.get("answer"), "explanation": score.get("explanation")}
        landing.reward(at, prompt, model, reward, rater=rater, sample=epoch, kept=kept)


def _number(value: Any) -> float | None:
    """A score as a number, as Inspect's own metrics take it."""
    if isinstance(value, (bool, int, float)):
        return float(value) if math.isfinite(value) else None
    if not isinstance(value, str):
        return None
    if (known := WORDS.get(value, WORDS.get(value.lower()))) is not None:
        return known
    try:
        number = float(json.loads(value))
    except (ValueError, TypeError, RecursionError):
        return None
    return number if math.isfinite(number) else None
