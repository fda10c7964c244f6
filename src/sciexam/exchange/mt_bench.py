"""MT-Bench, in the layout of FastChat's `llm_judge`: questions, answers, reference answers, judgments.

    question.jsonl  model_answer/MODEL.jsonl  reference_answer/JUDGE.jsonl
    model_judgment/JUDGE_pair.jsonl  model_judgment/JUDGE_single.jsonl

Each turn of a question is a prompt, `81-1` and `81-2`, and the turns of a question are one group. The second asks after
the model's own first answer, which is no part of the prompt: it is the model's answer to the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sciexam.exchange.landing import Landing, Place, shown
from sciexam.exchange.rows import found, missing, rows

SECOND_TURN = (
    "A second turn asks after the model's own first answer. That is no part of the prompt here: it is the answer to "
    "the first turn, whose prompt ends in -1."
)
NO_ORDER = (
    "Judgments with one 'winner' do not record which answer was shown first: model_1 comes first in their verdicts, "
    "and no position bias of their judge is told (`order_known: false` in the suite)."
)
_LAYOUT = ("question.jsonl", "model_answer/*.jsonl", "reference_answer/*.jsonl", "model_judgment/*.jsonl")


def read(paths: Sequence[Path]) -> Landing:
    landing = Landing("mt-bench", prompts_in=_LAYOUT[0])
    files = found(paths, *_LAYOUT)
    references = [file for file in files if file.parent.name == "reference_answer"]
    written = {file: _references(file, landing) for file in references}
    if len(references) > 1:
        landing.note(f"Of the reference answers, those of {references[0].stem} are taken.")
    rest = [file for file in files if file not in references]
    met: set[str] | None = None
    for file in rest:
        if file.parent.name == "model_answer":
            _read_answers(file, landing)
            continue
        for at, row in rows(file, landing):
            if "turns" in row:
                _question(at, row, landing, written[references[0]] if references else {})
            elif "g1_winner" in row or "winner" in row:
                met = _pair(at, row, landing, met)
            elif "score" in row:
                _single(at, row, landing)
            else:
                landing.fault(at, "is no question ('turns'), and no judgment ('g1_winner', or 'score')")
    if met and len(met) == 1 and len(landing.models) > 2:
        landing.baseline = met.pop()
    return landing


def _question(at: Place, row: dict[str, Any], landing: Landing, references: dict[str, list[str]]) -> None:
    turns = row["turns"]
    if missing(at, row, ("question_id",), landing):
        return
    if not _is_texts(turns):
        landing.fault(at, f"turns: a list of texts, this is {shown(turns)}")
        return
    known = references.get(str(row["question_id"])) or row.get("reference") or []
    kept = {key: value for key, value in row.items() if key not in ("question_id", "turns", "category", "reference")}
    for turn in range(1, len(turns) + 1):
        asked = [{"role": "user", "content": text} for text in turns[:turn]]
        reference = known[turn - 1] if isinstance(known, list) and len(known) >= turn else None
        landing.prompt(
            at,
            _id(row, turn),
            turns[0] if turn == 1 else asked,
            category=row.get("category"),
            group=str(row["question_id"]),
            reference=reference or None,
            kept={**kept, "turn": turn},
        )
    if len(turns) > 1:
        landing.note(SECOND_TURN)


def _id(row: dict[str, Any], turn: int) -> str:
    return f"{row['question_id']}-{turn}"


def _read_answers(file: Path, landing: Landing) -> None:
    """FastChat knows a model by the name of its file."""
    for at, row in rows(file, landing):
        if missing(at, row, ("question_id", "choices"), landing):
            continue
        choices = _choices(at, row, landing)
        kept = {key: value for key, value in row.items() if key not in ("question_id", "choices")}
        for sample, turns in enumerate(choices):
            for turn, text in enumerate(turns, 1):
                landing.response(at, file.stem, _id(row, turn), text, sample=sample, kept=kept)


def _choices(at: Place, row: dict[str, Any], landing: Landing) -> list[list[str]]:
    given = row["choices"] if isinstance(row["choices"], list) else []
    choices: list[Any] = [choice.get("turns") if isinstance(choice, dict) else None for choice in given]
    if not choices or not all(_is_texts(turns) for turns in choices):
        landing.fault(at, f"choices: a list of {{'turns': [texts]}}, this is {shown(row['choices'])}")
        return []
    return choices


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(text, str) for text in value)


def _references(file: Path, landing: Landing) -> dict[str, list[str]]:
    answers: dict[str, list[str]] = {}
    for at, row in rows(file, landing):
        if not missing(at, row, ("question_id", "choices"), landing):
            choices = _choices(at, row, landing)
            answers[str(row["question_id"])] = choices[0] if choices else []
    return answers


def _judge(at: Place, row: dict[str, Any], landing: Landing) -> tuple[str, str]:
    """The judge's model, and the template of its prompt."""
    match row["judge"]:
        case [str(model), str(template)]:
            return model, template
        case str(model):
            return model, ""
    landing.fault(at, f"judge: [model, template], this is {shown(row['judge'])}")
    return "", ""


def _turn(at: Place, row: dict[str, Any], template: str, landing: Landing) -> int:
    turn = row.get("turn", 2 if template.endswith("multi-turn") else 1)
    if isinstance(turn, int) and not isinstance(turn, bool) and turn > 0:
        return turn
    landing.fault(at, f"turn: 1 or 2, this is {shown(turn)}")
    return 0


def _pair(at: Place, row: dict[str, Any], landing: Landing, met: set[str] | None) -> set[str] | None:
    """Two games: in the first model_1 is shown first, in the second model_2. Both name the winner by its model."""
    if missing(at, row, ("question_id", "model_1", "model_2", "judge"), landing):
        return met
    one, two = row["model_1"], row["model_2"]
    judge, template = _judge(at, row, landing)
    turn = _turn(at, row, template, landing)
    if not judge or not turn:
        return met
    if "m1_score" in row:
        landing.left_out(at, "a winner made of two ratings: import the ratings, and compare by them")
        return met
    games = [("g1_winner", one, two, "g1_judgment"), ("g2_winner", two, one, "g2_judgment")]
    if "winner" in row:
        games = [("winner", one, two, "judgment")]
        landing.order_unknown.add(judge)
        landing.note(NO_ORDER)
    for key, first, second, reason in games:
        said = _winner(at, row, key, first == one, landing)
        if said is not None:
            kept = {"template": template, "tstamp": row.get("tstamp")}
            why = row.get(reason) if isinstance(row.get(reason), str) else ""
            landing.verdict(at, _id(row, turn), first, second, rater=judge, reason=why or "", kept=kept, **said)
    pair = {str(one), str(two)}
    return pair if met is None else met & pair


def _winner(at: Place, row: dict[str, Any], key: str, in_order: bool, landing: Landing) -> dict[str, Any] | None:
    match row.get(key):
        case "model_1":
            return {"preferred": "first" if in_order else "second"}
        case "model_2":
            return {"preferred": "second" if in_order else "first"}
        case "tie":
            return {"preferred": "tie"}
        case "error":
            return {"failure": "error"}
        case other:
            landing.fault(at, f"{key}: {shown(other)} is none of model_1, model_2, tie, error")
            return None


def _single(at: Place, row: dict[str, Any], landing: Landing) -> None:
    """A rating of 1 to 10; -1 where the judge's reply held none."""
    if missing(at, row, ("question_id", "model", "judge"), landing):
        return
    judge, template = _judge(at, row, landing)
    turn = _turn(at, row, template, landing)
    score = row["score"]
    if not judge or not turn:
        return
    if not isinstance(score, (int, float)) or isinstance(score, bool):
        landing.fault(at, f"score: a number, or -1 where there is none, this is {shown(score)}")
        return
    kept = {"template": template, "judgment": row.get("judgment"), "score": score}
    landing.reward(at, _id(row, turn), row["model"], None if score == -1 else score, rater=judge, kept=kept)
