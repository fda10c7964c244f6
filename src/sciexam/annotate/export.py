"""What annotators made, as files: verdicts, preference pairs, rankings and demonstrations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sciexam.annotate.overview import Overview
from sciexam.annotate.queue import Item, Queue
from sciexam.annotate.said import RANKING, read_body, verdicts_of
from sciexam.battles import name_of
from sciexam.digests import digest
from sciexam.report.agreeing.votes import side_of_score
from sciexam.report.data_file import texts
from sciexam.report.validating.human_verdicts import majority_of
from sciexam.store import Store
from sciexam.store.annotations import Judgement, standing
from sciexam.types import Comparison, Prompt

DOWNLOADS = {  # what comes of a queue, by its task
    "pairs": ("verdicts", "preferences"),
    "ranking": ("rankings", "verdicts", "preferences"),
    "demonstrations": ("demonstrations",),
}
EXPORTS = ("verdicts", "preferences", "rankings", "demonstrations")

Line = dict[str, Any]


def exported(store: Store, queue: Queue, what: str, suffix: str, with_names: bool = False) -> str:
    """`what` of a queue as JSON Lines (`suffix` "jsonl") or CSV. Annotators are pseudonyms, unless names are wanted."""
    return written(list(lines_of(store, queue, what, with_names)), suffix)


def written(lines: Sequence[Line], suffix: str) -> str:
    """Lines as JSON Lines or CSV.

    Both hold every text exactly, and are read back by `sciexam annotate import` (verdicts); in CSV nothing is left that
    a spreadsheet would run.
    """
    head = dict.fromkeys(key for line in lines for key in line)
    return "".join(texts(head, lines, suffix))


def lines_of(store: Store, queue: Queue, what: str, with_names: bool = False) -> Iterator[Line]:
    """`what` of a queue, one line after the other."""
    people = {one.id: one for one in store.annotators.all()}
    if what == "preferences":
        yield from preferences(Overview(store, queue))
        return
    for one in standing(store.annotations.judgements(queue.id)):
        item = queue.by_id.get(one.item)
        who = people[one.annotator]
        if item is None or one.item != item.id or who.is_owner:
            continue
        rater = who.label if with_names else who.pseudonym
        if what == "verdicts":
            yield from _verdicts(queue, item, one, rater, who.pseudonym, rater_id(store, who.id))
        elif what == "rankings" and one.choice == RANKING:
            yield _ranking(item, one, rater)
        elif what == "demonstrations" and item.kind == "demonstration" and one.choice in ("accept", "edit", "write"):
            yield _demonstration(item, one, rater)


def rater_id(store: Store, annotator: int) -> str:
    """What tells annotator-1 of this ledger from annotator-1 of another, and tells nothing else."""
    return store.seal(digest(["rater", annotator]))[:12]


def _verdicts(queue: Queue, item: Item, one: Judgement, rater: str, pseudonym: str, id: str) -> Iterator[Line]:
    """Lines that a recorded judge reads (see docs/judges.md). What was adjudicated is in the preferences alone."""
    for verdict in verdicts_of(queue, item, pseudonym, one):
        line: Line = {"prompt": verdict.prompt, "first": verdict.first, "second": verdict.second}
        line |= {"preferred": verdict.preferred} if verdict.status == "ok" else {"failure": verdict.failure}
        line |= {"strength": verdict.strength} if verdict.strength else {}
        line |= {"sample": item.sample} if item.sample else {}
        line |= {"rater": rater, "rater_id": id, "kind": "human"}
        line |= {"reason": verdict.reason} if verdict.reason else {}
        line |= {"criteria": dict(verdict.criteria)} if verdict.criteria else {}
        yield line | ({"seconds": one.seconds} if one.seconds is not None else {})


def preferences(overview: Overview) -> Iterator[Line]:
    """For each comparison with a winner what was chosen and what was rejected, as a reward model and DPO learn from it.

    The winner is that of the adjudication, or else of the majority; a comparison without one is left out. `margin` is
    the mean preference towards the winner, on 1 (slightly) .. 3 (much), and 0 where that points the other way; left out
    where the scale has no strengths.
    """
    for one in _outcomes(overview):
        if not one.side:
            continue
        a, b = one.comparison.a, one.comparison.b
        chosen, rejected = (a, b) if one.side < 0 else (b, a)
        line = _pair(one.comparison.prompt, chosen.text, rejected.text)
        # Two who say slightly are the majority against one who says much: then nothing is left of a margin.
        margin = max(0.0, one.side * sum(one.strengths) / len(one.strengths)) if one.strengths else None
        yield line if margin is None else line | {"margin": round(margin, 6)}


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of a comparison that was judged: -1 where a won, 1 where b, 0 where nobody did; and by how much.

    `judges`: how many annotators named a side, or a tie; 0 where somebody settled it who read what they said.
    """

    comparison: Comparison
    side: float
    strengths: Sequence[float]
    judges: int


def _outcomes(overview: Overview) -> Iterator[_Outcome]:
    adjudicated = {(x.a, x.b, x.prompt, x.sample): x for x in overview.bench.adjudicated}
    sides = majority_of([one.sides for one in overview.votes])
    for comparison in overview.queue.comparisons():
        name = name_of(comparison)
        if (settled := adjudicated.get(name)) is not None and settled.score is not None:
            strengths = [settled.preference] if settled.preference else []
            yield _Outcome(comparison, side_of_score(1 - settled.score), strengths, 0)
        elif judges := sum(name in one.sides for one in overview.votes):
            strengths = [one.preferences[name] for one in overview.votes if name in one.preferences]
            yield _Outcome(comparison, sides.get(name) or 0.0, strengths, judges)


def doubts(overview: Overview) -> str:
    """What a reader of the preferences should know of them; empty where there is nothing."""
    outcomes = list(_outcomes(overview))
    alone = sum(one.judges == 1 for one in outcomes if one.side)
    without = sum(not one.side for one in outcomes)
    told = [f"{alone} judged by one person"] if alone else []
    return ", ".join([*told, f"{without} without a winner left out"] if without else told)


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
