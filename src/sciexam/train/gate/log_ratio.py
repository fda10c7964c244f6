"""How far a policy has gone from where it began: the mean log-ratio of its own answers, in nats a token.

    mean over answers of  1/T sum_t  log p(y_t | x, y_<t) - log p_ref(y_t | x, y_<t)

Of answers that are drawn at temperature 1 this estimates the KL divergence from the reference (arXiv 1909.08593); of
answers that take the likeliest token each time it says how much surer of them the policy is, and is rather higher.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sciexam.models.checkpoint import LocalCheckpoint, free_memory
from sciexam.models.settings import Weights
from sciexam.report.record import Figure
from sciexam.report.scores import distinct
from sciexam.stats import Estimate, Undefined, skewed_mean
from sciexam.train.tokens import Row, Turns
from sciexam.types import Message

SAME = 1e-6  # nats a token


@dataclass(frozen=True, slots=True)
class Said:
    """An answer of a policy; `unit` is what its prompt is one of, where intervals are over groups of prompts."""

    messages: Sequence[Message]
    text: str
    ended: bool
    unit: str


def log_ratio(name: str, weights: str, reference: str, said: Sequence[Said]) -> Figure:
    """The log-ratio of the weights in a folder and of those that they began with, which share a tokenizer.

    One of the two is in memory at a time. Raises UsageError where weights cannot be loaded.
    """
    policy = LocalCheckpoint(name, Weights(weights=weights), "causal")
    turns = Turns(name, policy.tokenizer)
    rows = [_row(turns, one) for one in said]
    kept = [place for place, row in enumerate(rows) if row.answer]
    own = list(_likelihoods(policy, [rows[place] for place in kept]))
    del policy
    free_memory()
    before = LocalCheckpoint(name, Weights(weights=reference), "causal")
    theirs = list(_likelihoods(before, [rows[place] for place in kept]))
    ratios = [(mine - other) / len(rows[place].answer) for place, mine, other in zip(kept, own, theirs, strict=True)]
    return _mean(ratios, [said[place].unit for place in kept])


def _mean(ratios: Sequence[float], units: Sequence[str]) -> Figure:
    """Over answers; an interval of no width where it is the same of each, as of weights that have not changed."""
    found = skewed_mean(ratios, distinct(units))
    if isinstance(found, Undefined) and ratios and max(ratios) - min(ratios) < SAME:
        return Estimate(ratios[0], ratios[0], ratios[0], 0.95, found.n, "the same of every answer")
    return found


def _row(turns: Turns, said: Said) -> Row:
    """An answer that was cut off has no end that anybody chose."""
    row = turns.row(said.messages, said.text)
    return row if said.ended else Row(row.prompt, row.answer[:-1])


def _likelihoods(checkpoint: LocalCheckpoint, rows: Sequence[Row]) -> Iterator[float]:
    """The log-likelihood of each answer, in nats, one after the other: of a vocabulary, more would fill the memory."""
    import torch

    with checkpoint.use() as loaded, torch.inference_mode():
        for row in rows:
            ids = torch.tensor([row.ids], device=loaded.device)
            logits = loaded.model(input_ids=ids).logits[0, len(row.prompt) - 1 : -1].float()
            wanted = ids[0, len(row.prompt) :, None]
            yield float(logits.log_softmax(-1).gather(1, wanted).sum())
