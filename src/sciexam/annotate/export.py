"""What annotators made, as files: verdicts, preference pairs, rankings and demonstrations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sciexam.annotate.overview import Overview
from sciexam.annotate.queue import Item, Queue
from sciexam.annotate.said import RANKING, read_body, verdicts_of
from sciexam.battles import name_of
from sciexam.report.human_verdicts import majority_of
from sciexam.report.tables import to_csv
from sciexam.report.votes import side_of_score
from sciexam.store import Store
from sciexam.store.annotations import Judgement, standing
from sciexam.types import Prompt

EXPORTS = ("verdicts", "preferences", "rankings", "demonstrations")

Line = dict[str, Any]


def exported(store: Store, queue: Queue, what: str, suffix: str, with_names: bool = False) -> str:
    """`what` of a queue as JSON Lines (`suffix` "jsonl") or CSV. Annotators are pseudonyms, unless names are wanted.

    Both are read back by `sciexam annotate import` (verdicts). JSON Lines hold every text exactly; in CSV nothing is
    left that a spreadsheet would run.
    """
    lines = list(_lines(store, queue, what, with_names))
    if suffix == "jsonl":
        return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    head = list(dict.fromkeys(key for line in lines for key in line))
    rows = [[_flat(line.get(key)) for key in head] for line in lines]
    return to_csv(head, rows, line_breaks=True)


def _flat(value: Any) -> Any:
    """A list or a mapping has its JSON in the cell."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value


def _lines(store: Store, queue: Queue, what: str, with_names: bool) -> Iterator[Line]:
    people = {one.id: one for one in store.annotations.annotators()}
    if what == "preferences":
        yield from preferences(Overview(store, queue))
        return
    for one in standing(store.annotations.judgements(queue.id)):
        item = queue.by_id.get(one.item)
        if item is None or one.item != item.id:
            continue
        pseudonym = people[one.annotator].pseudonym
        rater = people[one.annotator].label if with_names else pseudonym
        if what == "verdicts":
            yield from _verdicts(queue, item, one, rater, pseudonym)
        elif what == "rankings" and one.choice == RANKING:
            yield _ranking(item, one, rater)
        elif what == "demonstrations" and item.kind == "demonstration" and one.choice in ("accept", "edit", "write"):
            yield _demonstration(item, one, rater)


def _verdicts(queue: Queue, item: Item, one: Judgement, rater: str, pseudonym: str) -> Iterator[Line]:
    """Lines that a recorded judge reads (see docs/judges.md)."""
    for verdict in verdicts_of(queue, item, pseudonym, one):
        line: Line = {"prompt": verdict.prompt, "first": verdict.first, "second": verdict.second}
        line |= {"preferred": verdict.preferred} if verdict.status == "ok" else {"failure": verdict.failure}
        line |= {"strength": verdict.strength} if verdict.strength else {}
        line |= {"sample": item.sample} if item.sample else {}
        line |= {"rater": rater, "kind": "human"}
        line |= {"reason": verdict.reason} if verdict.reason else {}
        line |= {"criteria": dict(verdict.criteria)} if verdict.criteria else {}
        yield line | ({"seconds": one.seconds} if one.seconds is not None else {})


def preferences(overview: Overview) -> Iterator[Line]:
    """For each comparison with a winner what was chosen and what was rejected, as a reward model and DPO learn from it.

    The winner is that of the adjudication, or else of the majority; a comparison without one is left out. `margin` is
    how far the mean preference lies from 0, on 1 (slightly) .. 3 (much); left out where the scale has no strengths.
    """
    votes, adjudicated = overview.votes, {(x.a, x.b, x.prompt, x.sample): x for x in overview.bench.adjudicated}
    sides = majority_of([one.sides for one in votes])
    for comparison in overview.queue.comparisons():
        a, b, prompt, sample = name_of(comparison)
        key = (a, b, prompt, sample)
        strengths = [one.preferences[key] for one in votes if key in one.preferences]
        side = sides.get(key, 0.0)
        if (settled := adjudicated.get(key)) is not None and settled.score is not None:
            side, strengths = side_of_score(1 - settled.score), [settled.preference] if settled.preference else []
        if not side:
            continue
        chosen, rejected = (comparison.a, comparison.b) if side < 0 else (comparison.b, comparison.a)
        line = _pair(comparison.prompt, chosen.text, rejected.text)
        yield line | ({"margin": round(abs(sum(strengths) / len(strengths)), 6)} if strengths else {})


def _pair(prompt: Prompt, chosen: str, rejected: str) -> Line:
    """Texts for a question of one turn, or else lists of messages, as TRL takes them."""
    if len(prompt.messages) == 1:
        return {"prompt": prompt.text, "chosen": chosen, "rejected": rejected}
    return {"prompt": _chat(prompt), "chosen": _answer(chosen), "rejected": _answer(rejected)}


def _ranking(item: Item, one: Judgement, rater: str) -> Line:
    ranking = list(read_body(one.choice, one.body).ranking)
    return {"prompt": item.prompt.text, "responses": list(item.texts), "ranking": ranking, "rater": rater}


def _demonstration(item: Item, one: Judgement, rater: str) -> Line:
    text = item.texts[0] if one.choice == "accept" else read_body(one.choice, one.body).text
    said: Mapping[str, Any] = {"decision": one.choice, "rater": rater}
    if len(item.prompt.messages) == 1:
        return {"prompt": item.prompt.text, "completion": text, **said}
    return {"messages": [*_chat(item.prompt), *_answer(text)], **said}


def _chat(prompt: Prompt) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in prompt.messages]


def _answer(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]
