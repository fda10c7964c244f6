"""A queue: what annotators are shown, in which order, and on which scale."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sciexam.annotate.scale import ScaleName
from sciexam.digests import digest
from sciexam.documents import parse_lines, read_jsonl
from sciexam.errors import DocumentError, UsageError
from sciexam.exam.answering import Answers
from sciexam.rubric import Rubric
from sciexam.store.annotations import Slots
from sciexam.suite import Suite
from sciexam.types import Comparison, Message, Prompt, Record, Reply, Response

Task = Literal["pairs", "ranking", "demonstrations"]
ItemKind = Literal["pair", "ranking", "demonstration", "gold"]

FEWEST_RANKED, MOST_RANKED = 3, 9
USUAL_ANNOTATORS = 4
BLOCK = 8  # consecutive pairs of two contestants, of which half are laid out either way


class Item(Record):
    """What an annotator is shown: a prompt, and the texts of those it is `by`.

    `better` is the place of the text that has to win (gold alone). `sample` is that of the answers.
    """

    id: str
    kind: ItemKind
    prompt: Prompt
    texts: tuple[str, ...]
    by: tuple[str, ...]
    sample: int = 0
    better: int | None = None

    def comparison(self, a: int, b: int) -> Comparison:
        """The texts at two places, to be compared."""
        return Comparison(self.prompt, self._response(a), self._response(b))

    def _response(self, slot: int) -> Response:
        return Response(self.by[slot], self.prompt.id, self.sample, Reply(key="", text=self.texts[slot]))

    @property
    def words(self) -> int:
        """How many words there are to read."""
        return sum(len(text.split()) for text in (self.prompt.text, *self.texts))


class Draw(Record):
    """How the prompts were taken: the first `taken` of `drawn_from` in an order that their content and `seed` draw."""

    taken: int
    drawn_from: int
    seed: int


class Queue(Record):
    """What is judged, and how. `overlap` annotators judge each item; one of them is expected to judge `expected`."""

    id: str
    suite: str
    task: Task
    scale: ScaleName
    rubric: Rubric
    contestants: tuple[str, ...]
    seed: int
    lot: str  # of which sides, orders and checks are drawn: derived from the seed and the ledger's secret
    draw: Draw
    overlap: int
    expected: int
    repeats: int = 0  # pairs that each annotator is shown a second time
    pause_after: int = 50  # judgements after which a break is proposed
    lease_minutes: float = 30
    guide: str = ""
    identical: int = 0  # pairs that are not shown: both answers read the same, or the same two were shown already
    unanswered: int = 0  # of the prompts that were drawn, those without an answer from everyone
    items: tuple[Item, ...] = Field(exclude=True)

    @cached_property
    def by_id(self) -> dict[str, Item]:
        """Everything that can be shown, the second showings of pairs too."""
        again = {self.again(item): item for item in self.items if item.kind == "pair"}
        return {item.id: item for item in self.items} | again

    @cached_property
    def ordinary(self) -> tuple[Item, ...]:
        """All but the gold."""
        return tuple(item for item in self.items if item.kind != "gold")

    @cached_property
    def gold(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.kind == "gold")

    @cached_property
    def repeated(self) -> frozenset[str]:
        """The ids under which pairs are shown a second time."""
        return frozenset(id for id, item in self.by_id.items() if id != item.id)

    def again(self, item: Item) -> str:
        """The id under which a pair is shown a second time."""
        return digest([self.id, "again", item.id])[:16]

    @cached_property
    def layouts(self) -> Mapping[str, Slots]:
        """How each pair is laid out for the first who is shown it.

        Of BLOCK pairs of the same two that follow each other half are laid out either way, drawn by lot: both
        contestants stand on the left equally often, and nobody can tell where.
        """
        found: dict[str, Slots] = {}
        of_pair: dict[tuple[str, ...], list[Item]] = {}
        for item in self.items:
            if len(item.texts) == 2:
                of_pair.setdefault(item.by, []).append(item)
        for listed in of_pair.values():
            for start in range(0, len(listed), BLOCK):
                block = sorted(listed[start : start + BLOCK], key=lambda item: digest([self.lot, "side", item.id]))
                # A coin for each block: the odd one of an incomplete block leans to no contestant.
                coin = int(digest([self.lot, "coin", block[0].id]), 16) % 2
                found |= {item.id: (0, 1) if (place + coin) % 2 else (1, 0) for place, item in enumerate(block)}
        return found

    def comparisons(self) -> Iterator[Comparison]:
        """All that is compared: pairs, and the pairs that a ranking implies."""
        for item in self.items:
            if item.kind in ("pair", "ranking"):
                yield from (item.comparison(a, b) for a, b in combinations(range(len(item.texts)), 2))


def make_queue(
    suite: Suite,
    answers: Answers,
    task: Task,
    scale: ScaleName,
    *,
    seal: Callable[[str], str],
    annotators: int,
    overlap: int | None = None,
    repeats: int | None = None,
    gold: Path | None = None,
    guide: str | None = None,
    before: Callable[[str], Queue | None] = lambda id: None,
) -> Queue:
    """The queue of a task over these answers. Raises UsageError where there is nothing to judge.

    `seal` makes of a digest what nobody can guess: the ids of items tell nothing of what they hold. Where no overlap,
    repeats or guide are given, they are those of the queue of an id as it was served `before`.
    """
    if overlap is not None and overlap < 1:
        raise UsageError(f"--overlap: 1 or more annotators for each item, not {overlap}")
    if task != "pairs" and (repeats or gold):
        raise UsageError("--repeats and --gold go with pairs; leave them out with --task")
    if task == "pairs" and len(answers.contestants) == 1 and answers.samples == 1:
        raise UsageError(
            f"{answers.contestants[0]} alone makes no pairs: name another contestant, or compare its own answers with "
            "--samples 2"
        )
    made, identical = _items(answers, task)
    checks = _read_gold(gold) if gold else []
    if not made:
        raise UsageError("there is nothing to judge: " + ("all answers are the same" if identical else "no answers"))
    names = tuple(dict.fromkeys(name for item in made for name in item.by))
    id = digest([suite.name, suite.rubric, task, scale, suite.seed, sorted(names)])[:16]
    earlier = before(id)
    if overlap is None:
        overlap = earlier.overlap if earlier else min(USUAL_ANNOTATORS, annotators)
    items = _in_turn([item.model_copy(update={"id": seal(_content(id, item))[:16]}) for item in made])
    items += [item.model_copy(update={"id": seal(_content(id, item))[:16]}) for item in checks]
    return Queue(
        id=id,
        suite=suite.name,
        task=task,
        scale=scale,
        rubric=suite.rubric,
        contestants=names,
        seed=suite.seed,
        lot=seal(digest([id, "lot"])),
        draw=Draw(taken=len(answers.prompts), drawn_from=answers.drawn_from, seed=suite.seed),
        overlap=overlap,
        expected=max(1, min(len(made), -(-len(made) * overlap // max(1, annotators)))),
        repeats=(earlier.repeats if earlier else 0) if repeats is None else repeats,
        guide=(earlier.guide if earlier else "") if guide is None else guide,
        identical=identical,
        unanswered=sum(not _is_answered(answers, prompt) for prompt in answers.prompts),
        items=tuple(items),
    )


def _items(answers: Answers, task: Task) -> tuple[list[Item], int]:
    """The items of all prompts in their order, and how many pairs that read the same were left out."""
    if task == "demonstrations":
        return list(_demonstrations(answers)), 0
    if task == "ranking":
        return list(_rankings(answers)), 0
    pairs = list(_pairs(answers))
    # A verdict is about texts, and counts wherever they are compared: the same two are shown once.
    first = {(item.prompt.text, _as_read(item)): item for item in reversed(pairs)}
    kept = [item for item in pairs if len(_as_read(item)) == 2 and first[item.prompt.text, _as_read(item)] is item]
    return kept, len(pairs) - len(kept)


def _as_read(item: Item) -> frozenset[str]:
    """The texts as they look on a page: nobody sees the white space around them."""
    return frozenset(text.strip() for text in item.texts)


def _is_answered(answers: Answers, prompt: Prompt) -> bool:
    return all(
        answers.usable(name, prompt.id, sample) for name in answers.contestants for sample in range(answers.samples)
    )


def _content(queue: str, item: Item) -> str:
    """What an item is of: the prompt as it is asked, and the texts. Another note on a prompt makes no other item."""
    asked = [(message.role, message.content) for message in item.prompt.messages]
    return digest([queue, item.kind, item.prompt.id, asked, item.texts, item.by, item.sample, item.better])


def _in_turn(items: Sequence[Item]) -> list[Item]:
    """Prompt after prompt in their order; the items of one in an order that tells nothing of whose they are."""
    place = {prompt: number for number, prompt in enumerate(dict.fromkeys(item.prompt.id for item in items))}
    return sorted(items, key=lambda item: (place[item.prompt.id], item.id))


def _pairs(answers: Answers) -> Iterator[Item]:
    """Every two contestants, sample against sample; or every two samples of the one contestant."""
    for prompt in answers.prompts:
        if len(answers.contestants) == 1:
            given = _given(answers, prompt)
            for one, other in combinations(given, 2):
                yield _item("pair", prompt, (one, other))
            continue
        for a, b in combinations(answers.contestants, 2):
            for sample in range(answers.samples):
                two = [answers.usable(name, prompt.id, sample) for name in (a, b)]
                if two[0] and two[1]:
                    texts = (two[0].text, two[1].text)
                    yield Item(id="", kind="pair", prompt=prompt, texts=texts, by=(a, b), sample=sample)


def _rankings(answers: Answers) -> Iterator[Item]:
    count = len(answers.contestants) * answers.samples
    if not FEWEST_RANKED <= count <= MOST_RANKED:
        raise UsageError(
            f"--task ranking: {FEWEST_RANKED} to {MOST_RANKED} answers to a prompt, not {count} "
            f"({len(answers.contestants)} contestants x {answers.samples} samples)"
        )
    for prompt in answers.prompts:
        given = list({text.strip(): (name, text) for name, text in _given(answers, prompt)}.values())
        if len(given) >= FEWEST_RANKED:
            yield _item("ranking", prompt, given)


def _demonstrations(answers: Answers) -> Iterator[Item]:
    for prompt in answers.prompts:
        yield _item("demonstration", prompt, _given(answers, prompt)[:1])


def _given(answers: Answers, prompt: Prompt) -> list[tuple[str, str]]:
    """Every usable answer to a prompt, and whose it is; further samples are numbered from 2."""
    return [
        (name if sample == 0 else f"{name} #{sample + 1}", found.text)
        for name in answers.contestants
        for sample in range(answers.samples)
        if (found := answers.usable(name, prompt.id, sample))
    ]


def _item(kind: ItemKind, prompt: Prompt, given: Sequence[tuple[str, str]]) -> Item:
    return Item(
        id="", kind=kind, prompt=prompt, texts=tuple(text for _, text in given), by=tuple(name for name, _ in given)
    )


class GoldLine(BaseModel):
    """One line of a file of gold: a question, and two answers of which everyone attentive prefers the first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str = Field(min_length=1)
    better: str
    worse: str


def _read_gold(path: Path) -> list[Item]:
    if not path.is_file():
        raise UsageError(f"{path}: no such file of gold items")
    faults: list[str] = []
    found = []
    for number, line in parse_lines(GoldLine, read_jsonl(path), path, faults):
        if line.better == line.worse:
            faults.append(f"{path}:{number}: 'better' and 'worse' are the same text")
        prompt = Prompt(id=f"gold-{number}", messages=(Message(role="user", content=line.question),))
        texts = (line.better, line.worse)
        found.append(Item(id="", kind="gold", prompt=prompt, texts=texts, by=("better", "worse"), better=0))
    if faults:
        raise DocumentError(faults)
    if not found:
        raise DocumentError(
            [f'{path}: holds no gold items; a line is {{"question": ..., "better": ..., "worse": ...}}']
        )
    return found
