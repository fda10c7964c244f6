"""Many prompts continued at once, token by token. A row's tokens do not depend on who is in its batch.

They depend on it as far only as the arithmetic does: a sum of floats in another order differs in its last digits. In
fp32 that hardly ever changes a token; in bf16 it sometimes does.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sciexam.models.checkpoint_loading import Loaded


@dataclass(frozen=True, slots=True)
class Rules:
    """How tokens are taken, and where a text ends: at one of the tokens `ends`, or where `is_complete` says so."""

    temperature: float | None
    top_p: float | None
    ends: frozenset[int]
    is_complete: Callable[[Sequence[int]], bool]


def ends_of(loaded: Loaded) -> frozenset[int]:
    """The tokens at which the checkpoint ends an answer."""
    named = (loaded.model.generation_config, loaded.config, loaded.tokenizer)
    return frozenset(token for one in named for token in _ids(getattr(one, "eos_token_id", None)))


def complete_at(stops: Sequence[str], tokenizer: Any) -> Callable[[Sequence[int]], bool]:
    """Whether tokens end with, or behind, one of the texts `stops`; to be asked at every token."""
    longest = max(map(len, stops), default=0)

    def is_complete(tokens: Sequence[int]) -> bool:
        # A token has a byte or more: so many of the last ones hold any stop that ends with the last one.
        tail = tokenizer.decode(list(tokens[-4 * longest - 8 :])) if longest else ""
        return any(stop in tail for stop in stops)

    return is_complete


def _ids(value: Any) -> Iterable[int]:
    """The token ids that a configuration names: one, several, or none."""
    return [value] if isinstance(value, int) else value or ()


@dataclass(slots=True, eq=False)
class Row:
    """One prompt on its way. `seed` is all that its sampling depends on.

    `choices`: the token sequences of which its text must be one; none: any text. `top`: of how many of the likeliest
    tokens at each place the natural log probabilities are noted in `places`, at temperature 1 and before anything is
    left out, the one taken first; with choices, those of all that may come next.
    """

    prompt: list[int]
    limit: int
    seed: str
    top: int = 0
    choices: frozenset[tuple[int, ...]] = frozenset()
    tokens: list[int] = field(default_factory=list)
    places: list[dict[int, float]] = field(default_factory=list)
    ended: str = ""  # "stop", "length", or "not a number"
    draw: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.begin()

    @property
    def size(self) -> int:
        """How many tokens it may come to."""
        return len(self.prompt) + self.limit

    def begin(self) -> None:
        """Forget what was written: the same comes again."""
        self.tokens.clear()
        self.places.clear()
        self.draw = random.Random(self.seed)  # noqa: S311 - it draws words, and keeps no secret

    def may_take(self, ends: frozenset[int]) -> set[int]:
        """The tokens that a choice goes on with, or ends with."""
        so_far = tuple(self.tokens)
        n = len(so_far)
        further = {choice[n] for choice in self.choices if len(choice) > n and choice[:n] == so_far}
        return further | (ends if so_far in self.choices else frozenset())

    def take(self, token: int, rules: Rules) -> None:
        self.tokens.append(token)
        over = self.may_take(rules.ends) <= rules.ends if self.choices else rules.is_complete(self.tokens)
        if over or token in rules.ends:
            self.ended = "stop"
        elif len(self.tokens) >= self.limit:
            self.ended = "length"


def decode(loaded: Loaded, rows: Sequence[Row], rules: Rules, is_stopped: Callable[[], bool]) -> Iterator[Row]:
    """Continue all `rows` as one batch, padded on the left; yield each as it ends. `is_stopped` is asked at each token.

    Raises what the device raises where it has no room (`checkpoint_loading.out_of_memory`).
    """
    import torch

    with torch.inference_mode():
        forward = _Forward(loaded, [row.prompt for row in rows])
        live = list(rows)
        ids = forward.first()
        while not is_stopped():
            logits = forward(ids)
            taken = _take(logits, live, rules)
            for row in live:
                if row.ended:
                    yield row
            kept = [index for index, row in enumerate(live) if not row.ended]
            if not kept:
                return
            if len(kept) < len(live):
                forward.keep(kept)
                live = [live[index] for index in kept]
            ids = torch.tensor([[taken[index]] for index in kept], device=loaded.device)


class _Forward:
    """The model with its cache, called with the tokens that each row has more than the last time."""

    def __init__(self, loaded: Loaded, prompts: Sequence[Sequence[int]]):
        import torch
        from transformers import DynamicCache

        self._model, self._device = loaded.model, loaded.device
        self._cache = DynamicCache(config=loaded.config)
        base = self._model.get_base_model() if hasattr(self._model, "get_base_model") else self._model
        self._known = inspect.signature(base.forward).parameters
        # A model of states alone (Mamba) multiplies what it reads by the mask: that is for the prompt only.
        self._reads_whole_mask = "position_ids" in self._known or not getattr(base, "_is_stateful", False)
        width = max(map(len, prompts))
        pad = loaded.tokenizer.pad_token_id or 0  # whatever it is: nothing attends to it
        self._ids = [[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts]
        mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        self._mask = torch.tensor(mask, device=self._device)
        self._has_begun = False  # the cache of a model without attention does not tell

    def first(self) -> Any:
        import torch

        return torch.tensor(self._ids, device=self._device)

    def __call__(self, ids: Any) -> Any:
        """The logits of the next token, shape (rows, vocabulary), in fp32."""
        import torch

        length = ids.shape[1]
        if self._has_begun:
            self._mask = torch.cat([self._mask, self._mask.new_ones(len(ids), length)], dim=1)
        self._has_begun = True
        places = (self._mask.cumsum(-1) - 1).clamp(min=0)[:, -length:]
        given: dict[str, Any] = {"use_cache": True}
        given |= {"attention_mask": self._mask} if self._reads_whole_mask or self._mask.shape[1] == length else {}
        given["cache" if "cache" in self._known else "past_key_values"] = self._cache
        given |= {"position_ids": places} if "position_ids" in self._known else {}
        given |= {"logits_to_keep": 1} if "logits_to_keep" in self._known else {}
        return self._model(input_ids=ids, **given).logits[:, -1].float()

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone."""
        import torch

        index = torch.tensor(rows, device=self._device)
        self._cache.reorder_cache(index)  # every kind of layer has it: attention, windows, states
        self._mask = self._mask[index]


def _take(logits: Any, rows: Sequence[Row], rules: Rules) -> list[int]:
    """Take the next token of each row, and note where it ends."""
    allowed = {index: sorted(row.may_take(rules.ends)) for index, row in enumerate(rows) if row.choices}
    chosen = _chosen(_only(logits, allowed), rows, rules).tolist()
    broken = logits.amax(-1).isnan().tolist()
    if any(row.top for row in rows):
        _note(logits, rows, chosen, allowed)
    for row, token, is_broken in zip(rows, chosen, broken, strict=True):
        if is_broken:
            row.ended = "not a number"
        else:
            row.take(token, rules)
    return [int(token) for token in chosen]


def _only(logits: Any, allowed: dict[int, list[int]]) -> Any:
    """The logits, minus infinity for what a choice does not go on with."""
    if not allowed:
        return logits
    import torch

    bounded = logits.clone()
    for index, tokens in allowed.items():
        bounded[index] = -torch.inf
        bounded[index, tokens] = logits[index, tokens]
    return bounded


def _chosen(logits: Any, rows: Sequence[Row], rules: Rules) -> Any:
    """The likeliest tokens, or drawn ones: where a row's own number falls among the summed probabilities."""
    if not rules.temperature:
        return logits.argmax(-1)
    import torch

    weights = (logits / rules.temperature).softmax(-1)
    if rules.top_p is not None and rules.top_p < 1:
        ordered, index = weights.sort(-1, descending=True)
        outside = ordered.cumsum(-1) - ordered >= rules.top_p
        weights = weights.scatter(-1, index, ordered.masked_fill(outside, 0.0))
    edges = weights.cumsum(-1)
    drawn = torch.tensor([[row.draw.random()] for row in rows], device=edges.device, dtype=edges.dtype)
    return torch.searchsorted(edges, drawn * edges[:, -1:], right=True).clamp(max=edges.shape[-1] - 1).squeeze(-1)


def _note(logits: Any, rows: Sequence[Row], chosen: Sequence[int], allowed: dict[int, list[int]]) -> None:
    logprobs = logits.log_softmax(-1)
    values, indices = logprobs.topk(min(max(row.top for row in rows), logprobs.shape[-1]), dim=-1)
    for index, (row, token) in enumerate(zip(rows, chosen, strict=True)):
        if not row.top:
            continue
        if index in allowed:
            pairs = zip(allowed[index], logprobs[index, allowed[index]].tolist(), strict=True)
            likeliest = sorted(pairs, key=lambda pair: -pair[1])
        else:
            likeliest = list(zip(indices[index, : row.top].tolist(), values[index, : row.top].tolist(), strict=True))
        row.places.append({token: float(logprobs[index, token]), **dict(likeliest)})


def advance(loaded: Loaded, row: Row, rules: Rules) -> Iterator[int]:
    """Continue one row by itself, a token each time the iterator is advanced; yields the token.

    Several rows can be advanced in turn in one thread: between two tokens nothing is held but the row's cache.
    """
    import torch

    with torch.inference_mode():
        forward = _Forward(loaded, [row.prompt])
        ids = forward.first()
    while True:
        with torch.inference_mode():
            (token,) = _take(forward(ids), [row], rules)
            ids = torch.tensor([[token]], device=loaded.device)
        if row.ended != "not a number":
            yield token
        if row.ended:
            return
