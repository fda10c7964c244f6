"""Arena-Hard-Auto, v0.1 and v2.0: questions, answers, and judgments of two games each.

    question.jsonl  model_answer/MODEL.jsonl  model_judgment/JUDGE/MODEL.jsonl

In the first game the baseline is A and the model is B, in the second the model is A. v0.1 does not write down who the
baseline was: its own is gpt-4-0314. v2.0 does, and has one for each category: each prompt then names its own in its
metadata, by which `leaderboard --as arena-hard` knows whose rule to count by.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sciexam.exchange.conversation import said, transcript, turns_of
from sciexam.exchange.landing import Landing, Place, shown
from sciexam.exchange.rows import found, missing, rows
from sciexam.types import Side, Strength

BASELINE = "gpt-4-0314"  # of v0.1
_LAYOUT = ("question.jsonl", "model_answer/*.jsonl", "model_judgment/*/*.jsonl")
_LABEL = re.compile(r"(A|B)(>{1,2}|<{1,2}|=)(A|B)")


class _Met(NamedTuple):
    """Whom a judgment of a prompt is against, and whether it names them itself."""

    prompt: str
    baseline: str
    named: bool


def read(paths: Sequence[Path]) -> Landing:
    landing = Landing("arena-hard", prompts_in=_LAYOUT[0])
    questions: list[tuple[Place, str, dict[str, Any]]] = []
    met: Counter[_Met] = Counter()
    for file in found(paths, *_LAYOUT):
        for at, row in rows(file, landing):
            if "games" in row:
                _judgment(at, row, landing, met)
            elif "choices" in row or "messages" in row:
                _answer(at, row, landing, file)
            elif "turns" in row or "prompt" in row:
                if (id := _id(at, row, landing)) is not None:
                    questions.append((at, id, row))
            else:
                landing.fault(at, "is no question ('turns', 'prompt'), no answer and no judgment ('games')")
    landing.baseline = _most((one.baseline, n) for one, n in met.items())
    categories = {id: str(row.get("category")) for _, id, row in questions}
    own = _baselines(met, categories)
    for at, id, row in questions:
        _question(at, id, row, own.get(categories[id]), landing)
    _tell_baselines(own, landing)
    return landing


def _baselines(met: Mapping[_Met, int], categories: Mapping[str, str]) -> dict[str, str]:
    """The baseline of each category: whom most of its judgments name, where they name one."""
    named: dict[str, list[tuple[str, int]]] = {}
    for one, n in met.items():
        if one.named and one.prompt in categories:
            named.setdefault(categories[one.prompt], []).append((one.baseline, n))
    return {category: most for category, counts in named.items() if (most := _most(counts))}


def _most(counts: Iterable[tuple[str, int]]) -> str | None:
    """What is counted most often over all."""
    total: Counter[str] = Counter()
    for name, n in counts:
        total[name] += n
    return max(total, key=lambda name: total[name], default=None)


def _tell_baselines(own: Mapping[str, str], landing: Landing) -> None:
    """Say who the suite's baseline is, where categories have one each."""
    if len(set(own.values())) > 1:
        listed = ", ".join(f"{baseline} in {category}" for category, baseline in own.items())
        landing.note(
            f"Each category has a baseline of its own: {listed}. `leaderboard --as arena-hard` counts by them; "
            f"elsewhere the baseline is {landing.baseline}."
        )


def _id(at: Place, row: dict[str, Any], landing: Landing) -> str | None:
    id = row.get("uid", row.get("question_id"))
    if isinstance(id, str) and id:
        return id
    landing.fault(at, "uid: this key is missing (question_id in v0.1)")
    return None


def _question(at: Place, id: str, row: dict[str, Any], baseline: str | None, landing: Landing) -> None:
    """`baseline`: that of its category, where judgments name one."""
    turns = row.get("turns", [row.get("prompt")])
    texts = [turn if isinstance(turn, str) else _content(turn) for turn in turns] if isinstance(turns, list) else []
    if not texts or not all(isinstance(text, str) for text in texts):
        landing.fault(at, f"{'turns' if 'turns' in row else 'prompt'}: is no text")
        return
    asked = [{"role": "user", "content": text} for text in texts]
    used = ("uid", "question_id", "category", "turns", "prompt", "baseline")
    kept = {key: value for key, value in row.items() if key not in used}
    kept |= {"baseline": landing.models.get(baseline, baseline)} if baseline else {}
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


def _judgment(at: Place, row: dict[str, Any], landing: Landing, met: Counter[_Met]) -> None:
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
    met[_Met(id, baseline, "baseline" in row)] += 1
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
