"""The text that a reward model of local weights is shown: the conversation with the answer as its last message.

In a chat template, the settings' own or the checkpoint's, as it stands there. An encoder that has none, and whose
tokenizer has a sign between two texts, reads the prompt and the answer as such a pair. Everything else without a
template reads plain text: the turns with a blank line between them, and an end-of-sequence after the last one, as
TRL's RewardTrainer has plain text in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sciexam.models.line import sendable
from sciexam.models.token_prompts import JOINED, TokenPrompts
from sciexam.types import Message

# What is to be known of the end of a text: kept as the finish reason of its reply, and told in reports.
TEMPLATE, NO_END, PLAIN, PAIR, END_UNSEEN = "stop", "no end", "plain", "pair", "end unseen"


@dataclass(frozen=True, slots=True)
class Shown:
    """`text` as the model sees it, as token `ids`; `types` are those of a pair, where the model tells its parts apart.

    `ending` holds the words above, joined by commas.
    """

    text: str
    ids: tuple[int, ...]
    ending: str
    types: tuple[int, ...] = ()


class Form:
    """How a reward model's `tokenizer` turns conversations into what the model reads.

    `template` replaces the tokenizer's own, `system` comes before the messages, and `padding` is the id that the model
    takes for nothing. What a message says is text, also where it spells a special token.
    """

    def __init__(self, name: str, tokenizer: Any, template: str | None, system: str | None, padding: int | None):
        self._tokenizer, self._padding = tokenizer, padding
        self._has_template = bool(template or tokenizer.chat_template)
        own = template if self._has_template else JOINED
        self._prompts = TokenPrompts(name, tokenizer, own, system, answered=True)
        special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
        self._special = {*special, *tokenizer.all_special_ids}

    def check(self) -> None:
        """Raise UsageError where not even a plain question and its answer can be rendered."""
        self._prompts.check()

    def show(self, messages: Sequence[Message]) -> Shown:
        """What the model reads of a conversation. Raises UsageError with what the template stumbled over."""
        if self._has_template:
            ids = tuple(self._prompts.tokens(messages))
            last = next((one for one in reversed(ids) if self._tokenizer.decode([one]).strip()), None)
            return Shown(
                self._prompts.text(messages), ids, self._as_seen(TEMPLATE if last in self._special else NO_END, ids)
            )
        if self._tokenizer.cls_token_id is not None and self._tokenizer.sep_token_id is not None:
            return self._pair(self._prompts.text(messages[:-1]), sendable(messages[-1].content))
        return self._plain(messages)

    def _pair(self, question: str, answer: str) -> Shown:
        read = self._tokenizer(question, answer, split_special_tokens=True)
        ids = tuple(read["input_ids"])
        text = self._tokenizer.decode(ids, clean_up_tokenization_spaces=False)
        return Shown(text, ids, PAIR, tuple(read.get("token_type_ids", ())))

    def _plain(self, messages: Sequence[Message]) -> Shown:
        ids, text = tuple(self._prompts.tokens(messages)), self._prompts.text(messages)
        end = self._tokenizer.eos_token_id
        if end is None:
            return Shown(text, ids, f"{PLAIN}, {NO_END}")
        return Shown(text + self._tokenizer.eos_token, (*ids, end), self._as_seen(PLAIN, (*ids, end)))

    def _as_seen(self, ending: str, ids: tuple[int, ...]) -> str:
        """A reward is read at the last token that is no padding: an end that is spelled like padding is passed over."""
        return f"{ending}, {END_UNSEEN}" if self._padding is not None and ids[-1:] == (self._padding,) else ending
