"""A reward model of local weights: a conversation with its answer in, one number out.

Any sequence classifier of transformers with one label: on a decoder (Llama, Qwen, GPT-2) or an encoder (RoBERTa,
ModernBERT), with a LoRA adapter or not, quantized or not. The number is computed by the head in 32 bits.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

from sciexam.digests import digest
from sciexam.errors import UsageError
from sciexam.models.checkpoint import LocalCheckpoint, free_memory
from sciexam.models.checkpoint_files import ADAPTER, WEIGHTS, Files, tensors_of, weight_files
from sciexam.models.checkpoint_loading import HEADS, Loaded, out_of_memory
from sciexam.models.public_name import public_name
from sciexam.models.reward_text import Form, Shown
from sciexam.models.settings import RewardCheckpoint
from sciexam.models.token_prompts import JOINED
from sciexam.types import Conversation, Reply

WINDOW = 512  # conversations that are sorted by their length at once
# The last matrix of a classifier, which has one row a label.
HEAD = re.compile(r"(?:^|\.)(?:score|classifier|(?:classifier|classification_head)\.out_proj)\.weight$")

_Text = tuple[Conversation, Shown]


class RewardWeights:
    """The reward model `name` of the weights that `settings` name. The text of its reply is the reward.

    `Reply.raw` is the text as it was shown, and `Reply.finish_reason` what is to be known of its end (`reward_text`).
    `digest` names all that could change a reward. `fetch`: whether weights may be fetched from a hub. Raises UsageError
    where they are not to be found.
    """

    def __init__(self, name: str, settings: RewardCheckpoint, fetch: bool = True):
        self._weights = LocalCheckpoint(name, settings, "reward", settings.device, fetch)
        self._name, self._settings = name, settings
        self._budget = settings.batch_tokens
        self._stopped = False
        self.digest = digest(
            {
                "backend": "reward weights",
                "weights": self._weights.contents,
                "system": settings.system,
                "chat_template": settings.chat_template or (None if self._weights.files.has_chat_template else JOINED),
            }
        )

    def check_ready(self) -> None:
        """Raise UsageError where it cannot be asked here: files, packages or a device are missing, or it has no head
        for one number."""
        self._weights.check_ready()
        check_head(self._name, self._weights.files)

    def stop(self) -> None:
        """Ask nothing more after the batch at work."""
        self._stopped = True

    def generate(self, conversations: Iterable[Conversation]) -> Iterator[Reply]:
        """The rewards, batch by batch, those of long texts first.

        Of `conversations` some hundreds are pulled at once. A text that is longer than the context, or that does not
        fit into memory by itself, has a failed reply. Raises UsageError where the weights cannot be loaded.
        """
        self.check_ready()
        source = iter(conversations)
        while not self._stopped and (pulled := list(islice(source, WINDOW))):
            texts, failed = self._read(pulled)
            yield from failed
            texts.sort(key=lambda text: len(text[1].ids))
            while texts and not self._stopped:
                most = max(1, self._budget // len(texts[-1][1].ids))
                if (replies := self._scored(texts[-most:])) is not None:
                    del texts[-most:]
                    yield from replies

    def _read(self, conversations: Sequence[Conversation]) -> tuple[list[_Text], list[Reply]]:
        """What each of them is to the model, and the replies to those that it cannot read."""
        texts: list[_Text] = []
        failed: list[Reply] = []
        with self._weights.use() as loaded:
            own = self._settings
            form = Form(self._name, loaded.tokenizer, own.chat_template, own.system, loaded.config.pad_token_id)
            form.check()
            longest = context_of(loaded)
            for one in conversations:
                try:
                    shown = form.show(one.messages)
                except UsageError as error:
                    failed.append(self._failed(one, str(error)))
                    continue
                if longest is not None and len(shown.ids) > longest:
                    why = f"too long: {len(shown.ids):,} tokens, and the context holds {longest:,}"
                    failed.append(self._failed(one, why, shown))
                else:
                    texts.append((one, shown))
        return texts, failed

    def _scored(self, batch: Sequence[_Text]) -> list[Reply] | None:
        """The replies to a batch; None where memory did not suffice, and smaller batches are to come."""
        began = time.monotonic()
        with self._weights.use() as loaded:
            rewards = _scores(loaded, [shown for _, shown in batch])
            if rewards is None and self._makes_room(batch):
                return None
        seconds = (time.monotonic() - began) / len(batch)
        if rewards is None:
            ((one, shown),) = batch
            return [self._failed(one, f"out of memory: {len(shown.ids):,} tokens by themselves", shown)]
        return [self._reply(one, shown, reward, seconds) for (one, shown), reward in zip(batch, rewards, strict=True)]

    def _makes_room(self, batch: Sequence[_Text]) -> bool:
        """Whether anything can be done about a batch that did not fit: half of it, or other weights out of the way."""
        free_memory()
        if len(batch) > 1:
            self._budget = max(1, len(batch) // 2) * max(len(shown.ids) for _, shown in batch)
            return True
        return self._weights.make_room()

    def _reply(self, one: Conversation, shown: Shown, reward: float, seconds: float) -> Reply:
        return Reply(
            one.key,
            repr(reward),
            finish_reason=shown.ending,
            model=public_name(self._settings.weights),
            input_tokens=len(shown.ids),
            output_tokens=0,
            seconds=seconds,
            raw=shown.text.encode(),
        )

    def _failed(self, one: Conversation, why: str, shown: Shown | None = None) -> Reply:
        raw = shown.text.encode() if shown is not None else b""
        return Reply(one.key, status="failed", failure=why, raw=raw)


def check_head(name: str, files: Files) -> None:
    """Raise UsageError where no file of a checkpoint holds a head, so that one would be drawn, or has more labels."""
    paths = weight_files(files.weights, WEIGHTS)
    heads = [_heads(path) for path in [*paths, *([files.adapter / ADAPTER] if files.adapter else [])]]
    if not (found := {tensor: labels for head in heads for tensor, labels in head.items()}):
        where = f"neither {files.weights} nor {files.adapter} has" if files.adapter else f"{files.weights} has no"
        raise UsageError(
            f"{name}: weights: {where} a head for a reward (score.weight, classifier.weight): this is no reward model, "
            "and a head that is drawn by chance would make its numbers"
        )
    tensor, labels = list(found.items())[-1]  # the adapter's, where it brings one
    if labels != 1:
        raise UsageError(
            f"{name}: weights: {tensor} of {files.adapter or files.weights} has {labels} labels, and a reward is one "
            "number: a reward model is trained with num_labels=1"
        )


def _heads(path: Path) -> dict[str, int]:
    return {name: tensor["shape"][0] for name, tensor in tensors_of(path).items() if HEAD.search(name)}


def context_of(loaded: Loaded) -> int | None:
    """The most tokens that a text may have: what the model has positions for, and the tokenizer says."""
    places = loaded.context
    for module in loaded.model.modules():  # RoBERTa's positions begin behind that of the padding
        if places is not None and getattr(module, "num_embeddings", None) == places and module.padding_idx is not None:
            places -= module.padding_idx + 1
    told = loaded.tokenizer.model_max_length  # where nobody said it, a number beyond all use
    return min((one for one in (places, told) if one is not None and one < 1e9), default=None)


def _scores(loaded: Loaded, texts: Sequence[Shown]) -> list[float] | None:
    """The rewards of texts as one batch, padded at their right; None where memory does not suffice."""
    import torch

    _in_32_bits(loaded.model)
    ids = [shown.ids for shown in texts]
    longest = max(map(len, ids))
    padding = loaded.config.pad_token_id
    if padding is None or padding < 0:  # any that is in no text: the reward is read at the last token that is another
        used = {one for row in ids for one in row}
        padding = next(one for one in count() if one not in used)

    def padded(rows: Iterable[Sequence[int]], by: int) -> Any:
        return torch.tensor([[*row, *[by] * (longest - len(row))] for row in rows], device=loaded.device)

    asked = {"input_ids": padded(ids, padding), "attention_mask": padded(([1] * len(row) for row in ids), 0)}
    if all(shown.types for shown in texts):
        asked["token_type_ids"] = padded((shown.types for shown in texts), 0)
    named, loaded.config.pad_token_id, loaded.config.use_cache = loaded.config.pad_token_id, padding, False
    try:
        with torch.inference_mode():
            scores: list[float] = loaded.model(**asked).logits[:, 0].float().tolist()
        return scores
    except Exception as error:
        if not out_of_memory(error):
            raise
        return None
    finally:
        loaded.config.pad_token_id = named


def _in_32_bits(model: Any) -> None:
    """Have the head compute in 32 bits, whatever is below it."""
    import torch

    for name, module in model.named_modules():
        if name.rsplit(".", 1)[-1] in HEADS and any(p.dtype != torch.float32 for p in module.parameters()):
            module.float()
            module.register_forward_pre_hook(lambda _, given: tuple(one.float() for one in given))
