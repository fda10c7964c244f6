"""An answer as it is written, token by token: what `sciexam serve` asks of weights of one's own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sciexam.digests import digest
from sciexam.errors import UsageError
from sciexam.models.checkpoint import LocalCheckpoint
from sciexam.models.checkpoint_loading import Loaded
from sciexam.models.decoding import Row, Rules, advance, ends_of
from sciexam.models.settings import Weights
from sciexam.models.token_prompts import PLAIN, PLAIN_STOP, TokenPrompts
from sciexam.types import Message


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one answer is written. `temperature` 0 takes the likeliest token; `seed` None draws anew each time.

    `top_logprobs`: of how many of the likeliest tokens at each place the log probability is wanted; None: of none, not
    even of the token that is taken.
    """

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    top_logprobs: int | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """One token as it is taken. `text` is what it adds to the answer: nothing within a character, or within a thought.

    `piece` is the token by itself. `logprob` is natural, at temperature 1; `top` are the likeliest at its place, the
    likeliest first. A token that `ends` the answer is the model's own end, and adds what was left of a character.
    """

    text: str
    piece: str = ""
    logprob: float = 0.0
    top: tuple[tuple[str, float], ...] = ()
    ends: bool = False
    is_thought: bool = False


class StreamingModel(Protocol):
    """A model that is asked for one answer token by token. Closing an iterator gives the answer up.

    Several may be open at once, and are advanced in turn by one thread. `stops`: where an answer to a conversation ends
    besides; `is_plain`: it was asked in turns of plain text, so that white space around an answer belongs to the turns.
    """

    stops: tuple[str, ...]
    is_plain: bool

    def encode(self, asked: Sequence[Message] | str) -> list[int]:
        """The tokens of a conversation in the model's chat template, or of a text that is to be continued."""
        ...

    def stream(self, tokens: Sequence[int], sampling: Sampling) -> Iterator[Token]:
        """The tokens of an answer. Raises UsageError where there is no room for one."""
        ...


class TokenStream:
    """The StreamingModel of local weights. `open` loads them, and keeps them where they are.

    `digest` names what could change an answer: the contents of the files, and how they are asked.
    """

    def __init__(self, name: str, settings: Weights):
        self._name, self._settings = name, settings
        self._weights = LocalCheckpoint(name, settings, "causal", settings.device)
        self.is_plain = settings.chat_template is None and not self._weights.files.has_chat_template
        self.stops: tuple[str, ...] = (PLAIN_STOP,) if self.is_plain else ()
        template = PLAIN if self.is_plain else settings.chat_template
        asked = {"chat_template": template, "system": settings.system, "thinking": settings.thinking}
        self.digest = digest({"contents": self._weights.contents, **asked})
        self._template = template
        self._loaded: Loaded | None = None

    def open(self) -> Loaded:
        """Load the weights. Raises UsageError for what is missing or does not fit."""
        self._weights.check_ready()
        with self._weights.use() as loaded:
            self._loaded = loaded
        self._prompts = TokenPrompts(self._name, loaded.tokenizer, self._template, None)
        self._prompts.check()
        return loaded

    def encode(self, asked: Sequence[Message] | str) -> list[int]:
        if not isinstance(asked, str):
            return self._prompts.tokens(asked)
        return list(self._here.tokenizer(asked)["input_ids"])

    def stream(self, tokens: Sequence[int], sampling: Sampling) -> Iterator[Token]:
        loaded = self._here
        limit = sampling.max_tokens
        if loaded.context is not None:
            if len(tokens) >= loaded.context:
                raise UsageError(
                    f"too long: the prompt has {len(tokens):,} tokens, and the model reads and writes "
                    f"{loaded.context:,} in all"
                )
            limit = min(limit, loaded.context - len(tokens))
        if not tokens:
            raise UsageError("the prompt is empty: it has no tokens")
        top = None if sampling.top_logprobs is None else max(sampling.top_logprobs, 1)
        seed = secrets.token_hex(8) if sampling.seed is None else str(sampling.seed)
        row = Row(list(tokens), limit, seed, top or 0)
        rules = Rules(sampling.temperature or None, sampling.top_p, ends_of(loaded), lambda _: False)
        return self._told(row, rules, sampling.top_logprobs or 0)

    def _told(self, row: Row, rules: Rules, top: int) -> Iterator[Token]:
        loaded = self._here
        text = _Text(loaded.tokenizer, self._settings.thinking, row.prompt)
        for token in advance(loaded, row, rules):
            place = row.places[-1] if row.places else {}
            ends = token in rules.ends
            added = text.rest() if ends else text.push(token, is_last=bool(row.ended))
            yield Token(
                text=added,
                piece=loaded.tokenizer.decode([token]),
                logprob=next(iter(place.values()), 0.0),
                top=self._likeliest(place, top),
                ends=ends,
                is_thought=text.is_thought and not added,
            )
        if row.ended == "not a number":
            raise UsageError("the model computed no numbers (NaN); write dtype: bf16 or fp32")

    def _likeliest(self, place: Mapping[int, float], top: int) -> tuple[tuple[str, float], ...]:
        ordered = sorted(place.items(), key=lambda pair: -pair[1])[:top]
        return tuple((str(self._here.tokenizer.decode([token])), logprob) for token, logprob in ordered)

    @property
    def _here(self) -> Loaded:
        assert self._loaded is not None, "the weights are loaded before they are asked"
        return self._loaded


class _Text:
    """What tokens add to a text, and which of them are a thought before it.

    A thought is known by the word that opens it, in the text or at the end of the prompt. One that is closed and was
    never opened is taken for a part of the answer: its beginning was sent before its end was known.
    """

    def __init__(self, tokenizer: Any, thinking: tuple[str, str], prompt: Sequence[int]):
        self._tokenizer, (self._opening, self._closing) = tokenizer, thinking
        self._tokens: list[int] = []
        self._prefix = self._read = 0  # as in vLLM's incremental detokenization: a token's text depends on the last one
        tail = self._decode(prompt[-16:], whole=True)
        self.is_thought = tail.rstrip().endswith(self._opening)
        self._is_decided = False
        self._begun = not self.is_thought  # whether white space counts: not between a thought and the answer

    def push(self, token: int, is_last: bool) -> str:
        """What can be sent now that `token` has come."""
        self._tokens.append(token)
        if not self._is_decided and not self._decides(is_last):
            return ""
        text = self._new(is_last)
        if not self._begun:
            text = text.lstrip()
            self._begun = bool(text)
        return text

    def rest(self) -> str:
        """What is left when the model has ended: half a character."""
        return self._new(is_last=True) if self._is_decided else ""

    def _decides(self, is_last: bool) -> bool:
        """Whether it is known by now where the answer begins."""
        said = self._decode(self._tokens, whole=True)
        if not self.is_thought:
            begins = said.lstrip()
            if begins.startswith(self._opening):
                self.is_thought, self._begun = True, False
            elif self._opening.startswith(begins) and not is_last:
                return False
            else:
                self._is_decided = True
                return True
        if self._closing not in said:
            return False
        self.is_thought, self._is_decided = False, True
        self._prefix = self._read = len(self._tokens)
        return True

    def _new(self, is_last: bool) -> str:
        before = self._decode(self._tokens[self._prefix : self._read])
        now = self._decode(self._tokens[self._prefix :])
        if len(now) <= len(before) or (now.endswith("\ufffd") and not is_last):
            return ""
        self._prefix, self._read = self._read, len(self._tokens)
        return now[len(before) :]

    def _decode(self, tokens: Sequence[int], whole: bool = False) -> str:
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=not whole))
