"""RewardBench's files of scores: what a reward model gave the chosen and the rejected answer to each item.

A JSON object of columns (`scores_chosen`, `scores_rejected`, or in version 2 lists of `scores`), rows of the same
names, or the lines `{"chosen": ..., "rejected": ...}` of `--save_all`. The contestants are `chosen` and `rejected`, the
reward model is the rater. A model that compares two answers and scores none (`results` alone) gives verdicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sciexam.exchange.conversation import turns_of
from sciexam.exchange.landing import Landing, Place, shown
from sciexam.exchange.rows import Row, document, found, missing, rows

CHOSEN, REJECTED = "chosen", "rejected"
TEMPLATED = (
    "The texts are whole conversations in a model's own template, with the question in them: the question is not "
    "imported apart."
)
OTHER_TEMPLATE = "a text that another file has in another template; the first one stands"
_TEXTS = ("text_chosen", "text_rejected", "text", "prompt")
_USED = (*_TEXTS, "id", "subset", "model", "scores_chosen", "scores_rejected", "scores", "results", CHOSEN, REJECTED)


def read(paths: Sequence[Path]) -> Landing:
    landing = Landing("rewardbench")
    landing.baseline = REJECTED
    texts: dict[tuple[str, str, int], Path] = {}  # whose text an answer is
    for file in found(paths, "*.json", "*.jsonl"):
        for at, row in _rows(file, landing):
            model = row.get("model")
            rater = model if isinstance(model, str) and model else file.stem.removesuffix("_all")
            _item(at, row, rater, landing, texts)
    return landing


def _rows(file: Path, landing: Landing) -> Iterator[Row]:
    """The rows of a file; those of a JSON object of columns have the number of the item as their place."""
    if file.suffix != ".json":
        yield from rows(file, landing)
        return
    value = document(file, landing)
    if isinstance(value, list):
        yield from rows(file, landing)
        return
    landing.rows_read[str(file)] += 0
    if not isinstance(value, dict):
        if value is not None:
            landing.fault(file, f"an object of columns, or a list of rows, this is {shown(value)}")
        return
    columns = {key: column for key, column in value.items() if isinstance(column, list)}
    same = {key: one for key, one in value.items() if key not in columns}
    if not columns.keys() & {"results", "scores", "scores_chosen"}:
        landing.fault(file, "holds no scores of items (scores_chosen, scores, results); accuracies cannot be imported")
        return
    lengths = {key: len(column) for key, column in columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{key} {n:,}" for key, n in lengths.items())
        landing.fault(file, f"the columns differ in length: {listed}")
        return
    for number in range(next(iter(lengths.values()))):
        landing.rows_read[str(file)] += 1
        yield Place(file, number + 1), same | {key: column[number] for key, column in columns.items()}


def _item(
    at: Place, row: dict[str, Any], rater: str, landing: Landing, texts: dict[tuple[str, str, int], Path]
) -> None:
    row = {"scores_chosen": row.get(CHOSEN), "scores_rejected": row.get(REJECTED)} | row if CHOSEN in row else row
    id = str(row.get("id", at.line))
    answers = _answers(at, row, landing)
    if answers is None:
        return
    asked, written = _texts(row, answers)
    landing.prompt(at, id, asked, category=row.get("subset"), kept=_kept(row))
    for (name, sample, score), text in zip(answers, written, strict=True):
        if text is not None:
            if texts.setdefault((id, name, sample), at.path) == at.path or asked is not None:
                landing.response(at, name, id, text, sample=sample)
            else:
                landing.left_out(at, OTHER_TEMPLATE)
            if asked is None:
                landing.note(TEMPLATED)
        if score is not None:
            landing.reward(at, id, name, score, rater=rater, sample=sample)
    if all(score is None for _, _, score in answers):
        _verdict(at, row, id, rater, landing)


def _answers(at: Place, row: dict[str, Any], landing: Landing) -> list[tuple[str, int, Any]] | None:
    """Each answer of an item: whose it is, its number among those, and its score."""
    if "scores" in row:
        scores, right = row["scores"], row.get("num_correct", 1)
        if not isinstance(scores, list) or not isinstance(right, int) or not 0 < right < len(scores):
            landing.fault(at, f"scores: a list, of which the first num_correct are right, this is {shown(scores)}")
            return None
        named = [(CHOSEN, n) if n < right else (REJECTED, n - right) for n in range(len(scores))]
        answers = [(name, sample, score) for (name, sample), score in zip(named, scores, strict=True)]
    elif missing(at, row, ("results",) if row.get("scores_chosen") is None else ("scores_rejected",), landing):
        return None
    else:
        answers = [(CHOSEN, 0, row.get("scores_chosen")), (REJECTED, 0, row.get("scores_rejected"))]
    plain = [(name, sample, _score(score)) for name, sample, score in answers]
    for name, _, score in plain:
        if score is not None and (not isinstance(score, (int, float)) or isinstance(score, bool)):
            landing.fault(at, f"scores of {name}: a number, this is {shown(score)}")
            return None
    if any(score is None for *_, score in plain) and not all(score is None for *_, score in plain):
        landing.fault(at, "one answer has a score, and the other has none")
        return None
    return plain


def _score(score: Any) -> Any:
    """A score; some models give each in a list of its own."""
    return score[0] if isinstance(score, list) and len(score) == 1 else score


def _texts(row: dict[str, Any], answers: Sequence[Any]) -> tuple[Any, list[str | None]]:
    """What is asked, where it stands apart from the answers, and the text of each answer, None where there is none."""
    given = row.get("text") if "scores" in row else [row.get("text_chosen"), row.get("text_rejected")]
    if not isinstance(given, list) or len(given) != len(answers):
        return row.get("prompt"), [None] * len(answers)
    talks = [turns_of(one) for one in given]
    heads = [talk[:-1] if talk else None for talk in talks]
    if heads[0] and all(head == heads[0] for head in heads):
        asked: Any = [{"role": role, "content": text} for role, text in heads[0]]
        return asked[0]["content"] if len(asked) == 1 else asked, [talk[-1][1] for talk in talks if talk]
    return row.get("prompt"), [one if isinstance(one, str) else None for one in given]


def _verdict(at: Place, row: dict[str, Any], id: str, rater: str, landing: Landing) -> None:
    landing.order_unknown.add(rater)
    landing.note("A model without scores was shown each pair in an order that is not written down: chosen comes first.")
    sides = {1: "first", 0: "second", 0.5: "tie"}
    result = row.get("results")
    if isinstance(result, (int, float)) and result in sides:
        landing.verdict(at, id, CHOSEN, REJECTED, rater=rater, preferred=sides[result], kept={"results": result})  # type: ignore[arg-type]
    else:
        landing.fault(at, f"results: {shown(result)} is none of 1, 0.5, 0")


def _kept(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in _USED and key not in ("model_type", "chat_template")}
