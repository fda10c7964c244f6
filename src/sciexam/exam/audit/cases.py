"""What an audit shows its judge: of each prompt one answer and one pair of answers, left alone and changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from sciexam.battles import cluster
from sciexam.digests import draw
from sciexam.exam.audit.perturbations import padded, restyled, truncated, with_authority, with_flattery
from sciexam.exam.injections import FAMILIES, injected
from sciexam.exam.null_contestant import NULL_TEXT
from sciexam.types import Comparison, Order, Prompt, Response

Kind = Literal[
    "swap",
    "identical",
    "padding",
    "restyling",
    "authority",
    "sycophancy",
    "truncated",
    "empty",
    "null model",
    "injection",
    "injected null",
    "rubric",
    "reference",
    "copied reference",
]


@dataclass(frozen=True, slots=True)
class Case:
    """One comparison of the audit: the answer as it is (a) and the changed one (b), or a pair of contestants' answers.

    `shown`: the comparison in each order; they differ where the change depends on the side. `unit` is the prompt's
    cluster; `family` the shape of an injection; `paraphrased`: judged by the paraphrased rubric.
    """

    kind: Kind
    unit: str
    shown: Mapping[Order, Comparison]
    family: str = ""
    paraphrased: bool = False


def cases_of(
    prompts: Sequence[Prompt], answers: Mapping[str, Sequence[Response]], seed: int, rubric: bool
) -> Iterator[Case]:
    """Every case of an audit. `answers`: by prompt's id; `rubric`: whether there is a paraphrased one.

    The answer and the pair of a prompt are drawn from `seed` and the texts, so the names of contestants, or their
    order, do not matter. Blank answers, and those that are the null text, are not drawn.
    """
    others = _references(prompts, answers)
    for prompt in prompts:
        usable = [r for r in answers.get(prompt.id, ()) if r.text.strip() and r.text.strip() != NULL_TEXT]
        usable.sort(key=lambda response: (response.text, response.contestant))
        if not usable:
            continue
        yield from _of_answer(prompt, draw(usable, seed, "answer", _asked(prompt), [r.text for r in usable]), seed)
        pairs = [(a, b) for a, b in combinations(usable, 2) if a.text != b.text]
        if pairs:
            pair = draw(pairs, seed, "pair", _asked(prompt), [r.text for r in usable])
            yield from _of_pair(prompt, pair, rubric, others.get(prompt.id))


def _of_answer(prompt: Prompt, response: Response, seed: int) -> Iterator[Case]:
    """The cases that set one answer against a changed one."""
    text = response.text
    changed: dict[Kind, str | None] = {
        "identical": text,
        "padding": padded(text, seed),
        "restyling": restyled(text),
        "authority": with_authority(text, seed),
        "sycophancy": with_flattery(text, seed),
        "truncated": truncated(text),
        "empty": "",
        "null model": NULL_TEXT,
    }
    for kind, other in changed.items():
        if other is not None:
            yield _case(kind, prompt, response, _as(response, kind, other))
    bases: tuple[tuple[Kind, str], ...] = (("injection", text), ("injected null", NULL_TEXT))
    for kind, base in bases:
        for family in FAMILIES:
            orders: tuple[Order, ...] = ("ab", "ba")
            attacked = {order: _as(response, kind, injected(base, family, order, seed)) for order in orders}
            shown = {order: Comparison(prompt, response, other) for order, other in attacked.items()}
            yield Case(kind, cluster(prompt), shown, family)


def _of_pair(prompt: Prompt, pair: tuple[Response, Response], rubric: bool, other: str | None) -> Iterator[Case]:
    """The cases that show two contestants' answers, and that which shows another prompt's reference as an answer."""
    yield _case("swap", prompt, *pair)
    if rubric:
        yield replace(_case("rubric", prompt, *pair), paraphrased=True)
    if other is not None:
        corrupted = prompt.model_copy(update={"reference": other})
        yield _case("reference", corrupted, *pair)
        yield _case("copied reference", corrupted, pair[0], _as(pair[0], "copied reference", other))


def _case(kind: Kind, prompt: Prompt, a: Response, b: Response) -> Case:
    comparison = Comparison(prompt, a, b)
    return Case(kind, cluster(prompt), {"ab": comparison, "ba": comparison})


def _as(response: Response, kind: Kind, text: str) -> Response:
    """`response` with another text; its name in the ledger says how it was changed."""
    return replace(response, contestant=f"{response.contestant}+{kind}", reply=replace(response.reply, text=text))


def _references(prompts: Sequence[Prompt], answers: Mapping[str, Sequence[Response]]) -> dict[str, str]:
    """For each prompt with a reference that of the next prompt which has another one, and is another question."""
    able = [prompt for prompt in prompts if (prompt.reference or "").strip() and answers.get(prompt.id)]
    found: dict[str, str] = {}
    for at, prompt in enumerate(able):
        for other in (*able[at + 1 :], *able[:at]):
            if other.reference and other.reference != prompt.reference and cluster(other) != cluster(prompt):
                found[prompt.id] = other.reference
                break
    return found


def _asked(prompt: Prompt) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in prompt.messages]
