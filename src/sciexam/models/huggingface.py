"""A model of local weights, asked in this process with transformers."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from queue import SimpleQueue

from sciexam.digests import digest
from sciexam.errors import UsageError
from sciexam.models.checkpoint import LocalCheckpoint, Stopped, free_memory
from sciexam.models.checkpoint_loading import Loaded, out_of_memory
from sciexam.models.decoding import Row, Rules, complete_at, decode, ends_of
from sciexam.models.public_name import public_name
from sciexam.models.replies import NEVER
from sciexam.models.settings import Weights
from sciexam.models.token_prompts import PLAIN, PLAIN_STOP, TokenPrompts
from sciexam.types import TRUNCATED, Conversation, Generation, Reply, Status

LOOK_AHEAD = 256  # conversations among which those of like length are found


@dataclass(slots=True, eq=False)
class _Asked:
    """A conversation with its row, and its place among those that were pulled with it."""

    conversation: Conversation
    row: Row
    place: int
    began: float = 0.0


class HuggingFaceModel:
    """A causal model of local weights, for the model or judge called `name`.

    `generation` is what it is asked with, its own fields already filled in. Greedy at temperature 0 or none; what is
    drawn depends on the conversation's key and attempt alone. Sampling settings of the checkpoint's own do not count.
    Raises UsageError where the files are not to be found; `fetch`: whether they may be fetched from a hub. It opens
    without torch; `check_ready` says what is missing.

    `digest` names all that could change a reply: the contents of the files and how they are asked, not where they lie.
    """

    def __init__(self, name: str, settings: Weights, generation: Generation, fetch: bool = True):
        self.settings = settings
        self._name, self._generation = name, generation
        self._weights = LocalCheckpoint(name, settings, "causal", settings.device, fetch)
        self._plain = settings.chat_template is None and not self._weights.files.has_chat_template
        self._budget = settings.batch_tokens  # is halved where memory does not suffice
        self._stopped = threading.Event()
        self.digest = digest(
            {
                "backend": "huggingface",
                "contents": self._weights.contents,
                "chat_template": PLAIN if self._plain else settings.chat_template,
                "system": settings.system,
                "thinking": settings.thinking,
                "generation": generation.model_dump(exclude={"samples"}),
            }
        )

    @property
    def _called(self) -> str:
        """What its replies say that they are by: the weights, and the adapter on them."""
        parts = [self.settings.weights, *([self.settings.adapter] if self.settings.adapter else [])]
        return " + ".join(map(public_name, parts))

    @property
    def notes(self) -> Sequence[str]:
        """What its results must be read with."""
        plain = "has no chat template, and was asked in turns of plain text: `User: ...`, then `Assistant:`"
        effort = "`effort` means nothing to local weights, and was left out"
        return [*([plain] if self._plain else []), *([effort] if self._generation.effort else [])]

    def check_ready(self) -> None:
        """Raise UsageError where it cannot be asked here: files, packages, the device, or a template that works."""
        self._weights.check_ready()
        self._prompts.check()

    def stop(self, grace: float = 0.0) -> None:
        """Ask nothing more, now or later, from any thread: what is not finished by the next token has no reply."""
        self._stopped.set()

    def generate(self, conversations: Iterable[Conversation]) -> Iterator[Reply]:
        """Ask everything in `conversations`, yield the replies as they finish.

        Up to LOOK_AHEAD are pulled, in the caller's thread, and answered before the next are. Close the iterator to
        give up at once. Raises UsageError where the weights cannot be loaded.
        """
        self.check_ready()
        source = iter(conversations)
        while not self._stopped.is_set() and (pulled := list(islice(source, LOOK_AHEAD))):
            yield from self._answered(pulled)

    def _answered(self, conversations: Sequence[Conversation]) -> Iterator[Reply]:
        """Answer in a thread of its own: who has the device must not wait for who takes the replies."""
        finished: SimpleQueue[Reply | BaseException | None] = SimpleQueue()
        closed = threading.Event()

        def work() -> None:
            try:
                self._work(conversations, finished.put, lambda: closed.is_set() or self._stopped.is_set())
                finished.put(None)
            except Stopped:
                finished.put(None)
            except BaseException as error:  # raised in the thread of the caller
                finished.put(error)

        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        try:
            while (said := finished.get()) is not None:
                if isinstance(said, BaseException):
                    raise said
                yield said
        finally:
            closed.set()
            worker.join()

    def _work(
        self, conversations: Sequence[Conversation], put: Callable[[Reply], None], is_stopped: Callable[[], bool]
    ) -> None:
        with self._weights.use(is_stopped) as loaded:
            waiting: list[_Asked] = []
            for place, conversation in enumerate(conversations):
                asked = self._asked(conversation, place, loaded)
                if isinstance(asked, Reply):
                    put(asked)
                else:
                    waiting.append(asked)
            while waiting and not is_stopped():
                batch = batch_of(waiting, self._budget)
                if not self._went_through(batch, loaded, put, is_stopped) and not is_stopped():
                    self._make_room(batch, loaded, put)
                waiting = [asked for asked in waiting if not asked.row.ended]

    def _went_through(
        self, batch: Sequence[_Asked], loaded: Loaded, put: Callable[[Reply], None], is_stopped: Callable[[], bool]
    ) -> bool:
        """Answer one batch; False where memory did not suffice, and some of it is still to be answered."""
        began = time.monotonic()
        by_row = {id(asked.row): asked for asked in batch}
        rules = self._rules(loaded)
        try:
            for row in decode(loaded, [asked.row for asked in batch], rules, is_stopped):
                put(self._reply(by_row[id(row)], rules.ends, time.monotonic() - began))
        except Exception as error:
            if not out_of_memory(error):
                raise
            return False
        return True

    def _make_room(self, batch: Sequence[_Asked], loaded: Loaded, put: Callable[[Reply], None]) -> None:
        """Half as much at once from here on; what does not fit by itself has failed."""
        left = [asked for asked in batch if not asked.row.ended]
        for asked in left:
            asked.row.begin()
        free_memory()
        if len(left) > 1:
            self._budget = max(1, len(left) * max(asked.row.size for asked in left) // 2)
        elif left and not self._weights.make_room():
            (asked,) = left
            asked.row.ended = "failed"
            what = f"{len(asked.row.prompt):,} tokens of its prompt and {asked.row.limit:,} of an answer"
            put(
                _failed(
                    asked.conversation,
                    f"out of memory: {what} do not fit on {loaded.device} by themselves; lower max_tokens, or write "
                    "quantization: nf4",
                )
            )

    # ---------------------------------------------------------------- what is asked

    @cached_property
    def _prompts(self) -> TokenPrompts:
        template = PLAIN if self._plain else self.settings.chat_template
        return TokenPrompts(self._name, self._weights.tokenizer, template, self.settings.system)

    def _asked(self, conversation: Conversation, place: int, loaded: Loaded) -> _Asked | Reply:
        """The row of a conversation, or a failed reply where it cannot be asked at all."""
        try:
            tokens = self._prompts.tokens(conversation.messages)
        except UsageError as error:
            return _failed(conversation, str(error))
        limit = conversation.max_tokens or self._generation.max_tokens
        if loaded.context is not None:
            if len(tokens) >= loaded.context:
                return _failed(
                    conversation,
                    f"too-long: the prompt has {len(tokens):,} tokens, and the model reads and writes "
                    f"{loaded.context:,} in all",
                )
            limit = min(limit, loaded.context - len(tokens))
        seed = f"{conversation.key}:{conversation.sample}:{conversation.attempt}"
        choices = self._choices(conversation.choices)
        return _Asked(conversation, Row(tokens, limit, seed, conversation.top_logprobs, choices), place)

    def _choices(self, texts: Sequence[str]) -> frozenset[tuple[int, ...]]:
        """The tokens of each text; also those of it after a blank, where these are no more."""
        said = [[tuple(self._prompts.plain_tokens(one)) for one in (text, f" {text}")] for text in texts]
        return frozenset(
            one for alone, blank in said for one in (alone, *([blank] if len(blank) == len(alone) else []))
        )

    def _rules(self, loaded: Loaded) -> Rules:
        is_complete = complete_at(self._stops, loaded.tokenizer)
        return Rules(self._generation.temperature, self._generation.top_p, ends_of(loaded), is_complete)

    @cached_property
    def _stops(self) -> tuple[str, ...]:
        return (*filter(None, self._generation.stop), *([PLAIN_STOP] if self._plain else []))

    # ---------------------------------------------------------------- what was said

    def _reply(self, asked: _Asked, ends: frozenset[int], seconds: float) -> Reply:
        row, conversation = asked.row, asked.conversation
        if row.ended == "not a number":
            return _failed(conversation, "the model computed no numbers (NaN); write dtype: bf16 or fp32")
        tokenizer = self._weights.tokenizer
        said = row.tokens[:-1] if row.tokens[-1] in ends else row.tokens
        thought = 0 if row.choices else self._thought(said, self._opens_thought(row.prompt))
        text = tokenizer.decode(said[thought:], skip_special_tokens=True)
        text = text[: min((text.index(stop) for stop in self._stops if stop in text), default=len(text))]
        text = text.strip() if self._plain else text.lstrip() if thought else text
        status, failure = _usable(text, row.ended)
        return Reply(
            conversation.key,
            text,
            status=status,
            failure=failure,
            finish_reason=row.ended,
            model=self._called,
            input_tokens=len(row.prompt),
            output_tokens=len(row.tokens),
            reasoning_tokens=thought or None,
            seconds=seconds,
            attempt=conversation.attempt,
            raw=tokenizer.decode(row.tokens, skip_special_tokens=False).encode(),
            logprobs=tuple(map(self._place, row.places)) or None,
        )

    def _place(self, place: Mapping[int, float]) -> dict[str, float]:
        """The same by their texts; tokens of one text, such as that after a blank in some vocabularies, are summed."""
        told: dict[str, float] = {}
        for token, logprob in place.items():
            word = self._weights.tokenizer.decode([token])
            low, high = sorted((told.get(word, NEVER), max(logprob, NEVER)))
            told[word] = high + math.log1p(math.exp(low - high))
        return told

    def _opens_thought(self, prompt: Sequence[int]) -> bool:
        """Whether the chat template has begun a thought already."""
        tail = self._weights.tokenizer.decode(list(prompt[-16:]), skip_special_tokens=False)
        return bool(tail.rstrip().endswith(self.settings.thinking[0]))

    def _thought(self, tokens: Sequence[int], is_open: bool) -> int:
        """How many of the first tokens are a thought: up to the word that closes it, or all where none does."""
        opening, closing = self.settings.thinking

        def reads(count: int) -> str:
            return str(self._weights.tokenizer.decode(list(tokens[:count]), skip_special_tokens=False))

        whole = reads(len(tokens))
        begun = is_open or whole.lstrip().startswith(opening)
        end = whole.find(closing)
        if end < 0:
            return len(tokens) if begun else 0
        if not begun and opening in whole[:end]:
            return 0  # an answer that speaks of these words
        low, high = 1, len(tokens)
        while low < high:  # the fewest tokens in which the closing word stands
            middle = (low + high) // 2
            low, high = (low, middle) if closing in reads(middle) else (middle + 1, high)
        return low


def batch_of(waiting: Sequence[_Asked], budget: int) -> list[_Asked]:
    """The batch with the one that has waited longest: its neighbours by length, in all within `budget` tokens.

    Padded to the longest, a batch takes as many times that row's tokens as it has rows. One row is always taken.
    """
    ordered = sorted(waiting, key=lambda asked: (-asked.row.size, asked.place))
    first = min(waiting, key=lambda asked: asked.place)
    batch: list[_Asked] = []
    for asked in ordered:
        if batch and (len(batch) + 1) * batch[0].row.size > budget:
            if first in batch:
                break
            batch = []
        batch.append(asked)
    return batch


def _usable(text: str, finish: str) -> tuple[Status, str]:
    """A text cut at the token limit is still an answer; a thought without one is none."""
    if text.strip():
        return "ok", ""
    return "invalid", TRUNCATED if finish == "length" else "empty"


def _failed(conversation: Conversation, why: str) -> Reply:
    return Reply(conversation.key, status="failed", failure=why, attempt=conversation.attempt)
