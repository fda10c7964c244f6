"""Arena-Hard-Auto, v0.1 and v2.0: questions, answers, and judgments of two games each.

    question.jsonl  model_answer/MODEL.jsonl  model_judgment/JUDGE/MODEL.jsonl

In the first game the baseline is A and the model is B, in the second the model is A. v0.1 does not write down who the
baseline was: its own is gpt-4-0314.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sciexam.exchange.conversation import said, transcript, turns_of
from sciexam.exchange.landing import Landing, Place, shown
from sciexam.exchange.rows import found, missing, rows
from sciexam.types import Side, Strength

BASELINE = "gpt-4-0314"  # of v0.1
_LAYOUT = ("question.jsonl", "model_answer/*.jsonl", "model_judgment/*/*.jsonl")
_LABEL = re.compile(r"(A|B)(>{1,2}|<{1,2}|=)(A|B)")


def read(paths: Sequence[Path]) -> Landing:
    landing = Landing("arena-hard")
    baselines: dict[str, int] = {}
    for file in found(paths, *_LAYOUT):
        for at, row in rows(file, landing):
            if "games" in row:
                _judgment(at, row, landing, baselines)
            elif "choices" in row or "messages" in row:
                _answer(at, row, landing, file)
            elif "turns" in row or "prompt" in row:
                _question(at, row, landing)
            else:
                landing.fault(at, "is no question ('turns', 'prompt'), no answer and no judgment ('games')")
    landing.baseline = max(baselines, key=lambda name: baselines[name], default=None)
    if len(baselines) > 1:
        listed = ", ".join(baselines)
        landing.note(
            f"Baselines differ by category: {listed}. The suite's is {landing.baseline}: what counts pairs with the "
            "baseline alone, such as `leaderboard --as arena-hard`, leaves out the verdicts against the others."
        )
    return landing


def _id(at: Place, row: dict[str, Any], landing: Landing) -> str | None:
    id = row.get("uid", row.get("question_id"))
    if isinstance(id, str) and id:
        return id
    landing.fault(at, "uid: this key is missing (question_id in v0.1)")
    return None


def _question(at: Place, row: dict[str, Any], landing: Landing) -> None:
    id = _id(at, row, landing)
    turns = row.get("turns", [row.get("prompt")])
    texts = [turn if isinstance(turn, str) else _content(turn) for turn in turns] if isinstance(turns, list) else []
    if id is None:
        return
    if not texts or not all(isinstance(text, str) for text in texts):
        landing.fault(at, f"{'turns' if 'turns' in row else 'prompt'}: is no text")
        return
    asked = [{"role": "user", "content": text} for text in texts]
    used = ("uid", "question_id", "category", "turns", "prompt")
    kept = {key: value for key, value in row.items() if key not in used}
    landing.prompt(at, id, str(texts[0]) if len(texts) == 1 else asked, category=row.get("category"), kept=kept)


def _content(turn: Any) -> str | None:
    return said(turn.get("content")) if isinstance(turn, dict) else None


def _answer(at: Place, row: dict[str, Any], landing: Landing, file: Path) -> None:
    id, model = _id(at, row, landing), row.get("model", row.get("model_id", file.stem))
    if id is None:
        return
    used = ("uid", "question_id", "model", "model_id", "choices", "messages")
    kept = {key: value for key, value in row.items() if key not in used}
    for sample, answers in enumerate(_answers(row)):
        if answers:
            landing.response(at, model, id, transcript(answers), sample=sample, kept=kept)
        else:
            landing.fault(at, f"{'choices' if 'choices' in row else 'messages'}: holds no answer that is a text")


def _answers(row: dict[str, Any]) -> list[list[str]]:
    """For each sample what the assistant says in each turn; nothing where that is no text."""
    if "messages" in row:
        turns = turns_of(row["messages"])
        return [[text for role, text in turns or [] if role == "assistant"]]
    choices = row["choices"] if isinstance(row["choices"], list) else []
    samples = []
    for choice in choices or [{}]:
        turns_said = choice.get("turns") if isinstance(choice, dict) else None
        texts = [_content(turn) for turn in turns_said] if isinstance(turns_said, list) else [None]
        samples.append([] if None in texts else [text for text in texts if text is not None])
    return samples


def _judgment(at: Place, row: dict[str, Any], landing: Landing, baselines: dict[str, int]) -> None:
    id, games = _id(at, row, landing), row["games"]
    if id is None or missing(at, row, ("model", "judge"), landing):
        return
    if not isinstance(games, list) or len(games) != 2:
        landing.fault(at, f"games: two games, one in each order, this is {shown(games)}")
        return
    baseline = row.get("baseline", BASELINE)
    if "baseline" not in row:
        landing.note(f"The judgments do not say who the baseline was: {BASELINE} is taken, which is that of v0.1.")
    if not isinstance(baseline, str):
        landing.fault(at, f"baseline: a model's name, this is {shown(baseline)}")
        return
    if baseline == row["model"]:
        landing.left_out(at, "a model compared with itself")
        return
    baselines[baseline] = baselines.get(baseline, 0) + 1
    for number, game in enumerate(games):
        first, second = (baseline, row["model"]) if number == 0 else (row["model"], baseline)
        if game is not None and not (isinstance(game, dict) and "score" in game):
            landing.fault(at, f"games.{number}: null, or an object with a score, this is {shown(game)}")
            continue
        label = game["score"] if game else None
        verdict = _verdict(label)
        if verdict is None:
            landing.fault(at, f"games.{number}.score: {shown(label)} is none of A>>B, A>B, A=B, B>A, B>>A, null")
            continue
        reason = said(game.get("judgment")) if game else None
        kept = {"label": label, "game": number + 1}
        landing.verdict(at, id, first, second, rater=row["judge"], reason=reason or "", kept=kept, **verdict)


def _verdict(label: Any) -> dict[str, Any] | None:
    """What a label says of the answer shown first (A) and second (B); None where it is no label."""
    if label is None:
        return {"failure": "no verdict"}
    match = _LABEL.fullmatch(label) if isinstance(label, str) else None
    if match is None or match[1] == match[3]:
        return None
    if match[2] == "=":
        return {"preferred": "tie"}
    better = match[1] if match[2][0] == ">" else match[3]
    preferred: Side = "first" if better == "A" else "second"
    strength: Strength = "strong" if len(match[2]) == 2 else "clear"
    return {"preferred": preferred, "strength": strength}
