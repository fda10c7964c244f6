"""A model asked through its provider's batch API: handed over whole, collected within a day, paid for once."""

from __future__ import annotations

import io
import json
import logging
import secrets
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from typing import Any

from sciexam.errors import Incomplete, SciexamError
from sciexam.models.calls import GRACE
from sciexam.models.journal import BatchJournal, OpenBatch
from sciexam.models.openai import OpenAIModel
from sciexam.models.provider import Batch, Provider, Trouble, explained
from sciexam.models.replies import Fault
from sciexam.models.results import Unanswered, read_line, read_lines
from sciexam.models.spending import Reservation
from sciexam.models.wire import Wire
from sciexam.types import Conversation, Reply

MAX_REQUESTS = 50_000  # in one batch, and
MAX_BYTES = 200_000_000  # in its file: OpenAI's limits
POLLS = (1.0, 60.0)  # seconds between two looks at a batch: at first, and at most
STEP = 0.05  # seconds of sleep between two looks at whether to stop
MISSES = 10  # looks in a row that fail, each after tries of its own, before the waiting ends
FINDS = 3  # looks for a batch that may have been made: a listing may lag behind what is made

_log = logging.getLogger(__name__)


class BatchModel(OpenAIModel):
    """An OpenAIModel whose requests go through `/v1/batches`, with the same digest, so with the same facts.

    Every batch is in `journal` before its file is sent, and carries its token there as metadata. A later call that
    asks for the same conversation and attempt collects it from the batch it is in, and asks for the rest. `polls`:
    seconds between two looks at a batch, at first and at most.
    """

    whole = True  # one call asked by itself would be a batch of its own

    def __init__(self, *args: Any, journal: BatchJournal, polls: tuple[float, float] | None = None, **settings: Any):
        super().__init__(*args, **settings)
        self.journal = journal
        self.polls = polls or POLLS

    def generate(self, conversations: Iterable[Conversation]) -> Iterator[Reply]:
        """Pull all of `conversations`, hand them over, wait, and yield the replies batch by batch.

        What the provider did not answer (an error in its line, a batch that expired) is a failed reply. A call that the
        budget has no room for has none. After `stop` the batches go on at the provider, and `notes` says so.

        Raises, after every reply that could be had was yielded: UsageError where the endpoint has no batch API;
        EndpointRefused for a wrong key or model; Incomplete when the batch API fails.
        """
        wanted: dict[str, Conversation] = {}
        for conversation in conversations:
            if self._stopped:
                return
            wanted[conversation.key] = conversation
        if wanted:
            with Provider(self._wire, self.max_wait) as provider:
                yield from _Round(self, provider, wanted).replies()

    def stop(self, grace: float = GRACE) -> None:
        """Hand nothing more over and wait for nothing more. From any thread, and from a signal handler."""
        self._stopped = True

    @property
    def stopped(self) -> bool:
        return self._stopped

    @property
    def wire(self) -> Wire:
        return self._wire


class _Round:
    """One call of `generate`: what of `wanted` is in which batch, and what is set aside for it in the budget."""

    def __init__(self, model: BatchModel, provider: Provider, wanted: dict[str, Conversation]):
        self._model, self._provider, self._wire = model, provider, model.wire
        self._wanted = wanted
        self._live: dict[str, set[str]] = {}  # the provider's id of a batch -> the keys to be collected from it
        self._sent: dict[str, dict[str, Any]] = {}  # key -> the options it was asked with
        self._reserved: dict[str, Reservation] = {}
        self._failed: list[Reply] = []  # what could not even be written into a batch
        self._again: list[Conversation] = []  # refused for an argument that can be left out
        self._ending: SciexamError | None = None

    def replies(self) -> Iterator[Reply]:
        try:
            try:
                self._adopt()
                known = set().union(*self._live.values())
                self._hand_over([one for key, one in self._wanted.items() if key not in known])
            except Trouble as trouble:
                self._end(explained(trouble, self._wire))
            yield from self._failed
            yield from self._wait_and_collect()
        finally:
            for reservation in self._reserved.values():
                reservation.settle(None)  # the provider goes on with it
        if self._ending is not None:
            raise self._ending

    def _end(self, ending: SciexamError) -> None:
        self._ending = self._ending or ending

    # ------------------------------------------------------------ handing over

    def _adopt(self) -> None:
        """Find what an earlier command handed over and did not live to collect. The latest batch of a key is the one:
        it was made because an earlier one held nothing of use."""
        owner: dict[str, str] = {}
        for batch in self._model.journal.open_batches(self._model.digest):
            mine = [key for key, attempt in batch.requests.items() if self._asks(key, attempt)]
            if mine and (found := batch.id or self._found(batch)):
                owner.update(dict.fromkeys(mine, found))
        for key, found in owner.items():
            self._live.setdefault(found, set()).add(key)
            self._take_over(key)
        for found, keys in self._live.items():
            _log.warning("%s: %s requests are in batch %s already; waiting for it", self._wire.where, len(keys), found)

    def _asks(self, key: str, attempt: int) -> bool:
        return key in self._wanted and self._wanted[key].attempt == attempt

    def _found(self, intended: OpenBatch) -> str | None:
        """The provider's id of a batch that we do not know the end of; it is closed where the provider has none."""
        found = self._look_for(intended.token, intended.at)
        if found is not None:
            self._model.journal.name(intended.token, found.id)
            return found.id
        if not self._model.stopped:
            self._model.journal.close(intended.token)
        return None

    def _look_for(self, token: str, since: float) -> Batch | None:
        for nth in range(FINDS):
            self._sleep(self._model.polls[0] * 2**nth)
            if (found := self._provider.find(token, since)) is not None:
                return found
        return None

    def _take_over(self, key: str) -> None:
        """Set aside what an earlier command's request costs, and note what it may have been asked with."""
        account = self._model.account
        request = self._wire.request(self._wanted[key])
        if isinstance(request, Fault):
            return
        # By both names: nobody knows which of them that command had learned to use.
        self._sent[key] = request.options | self._wire.spoken(request.options)
        if account is not None:
            worst = account.at_most(request.content, request.options["max_tokens"])
            self._reserved[key] = account.budget.commit(worst)

    def _hand_over(self, conversations: Iterable[Conversation]) -> None:
        """Hand over what the budget has room for. What is not handed over in the end is not owed to anyone."""
        lines = self._lines(conversations)
        for part, body in _parts(lines):
            if self._model.stopped or self._ending is not None:
                self._free(part)
            else:
                self._submit(part, body)

    def _free(self, keys: Iterable[str]) -> None:
        for key in keys:
            if key in self._reserved:
                self._reserved.pop(key).settle(0.0)

    def _lines(self, conversations: Iterable[Conversation]) -> Iterator[tuple[str, bytes]]:
        account = self._model.account
        for conversation in conversations:
            request = self._wire.request(conversation)
            if isinstance(request, Fault):
                self._failed.append(_signed(_failed(request), conversation))
                continue
            if account is not None:
                worst = account.at_most(request.content, request.options["max_tokens"])
                reservation = account.budget.reserve_now(worst)
                if reservation is None:
                    return
                self._reserved[conversation.key] = reservation
            self._sent[conversation.key] = options = self._wire.spoken(request.options)
            said = {"prompt" if isinstance(request.content, str) else "messages": request.content}
            body = {"model": self._wire.settings.model} | said | options
            line = {"custom_id": conversation.key, "method": "POST", "url": self._url, "body": body}
            yield conversation.key, json.dumps(line, ensure_ascii=False).encode() + b"\n"

    @property
    def _url(self) -> str:
        return "/v1/chat/completions" if self._wire.settings.chat_template is None else "/v1/completions"

    def _submit(self, part: Collection[str], body: bytes) -> None:
        """Write it down, send the file, make the batch, write its name down: killed anywhere, it is paid for once."""
        journal, token = self._model.journal, secrets.token_hex(16)
        began = time.time()
        journal.intend(token, self._model.digest, {key: self._wanted[key].attempt for key in part})
        try:
            file = self._provider.upload(f"sciexam-{token}.jsonl", body)
            batch = self._provider.create(file, self._url, token) or self._lost(token, began)
        except Trouble as trouble:
            journal.close(token)
            self._free(part)
            self._end(explained(trouble, self._wire))
            return
        if batch is None:
            where = self._wire.where
            self._end(Incomplete(f"{where}: a batch was sent and no answer came; run the same command to look for it"))
            return
        journal.name(token, batch.id)
        self._live[batch.id] = set(part)
        _log.warning("%s: %s requests are in batch %s; waiting for it", self._wire.where, len(part), batch.id)

    def _lost(self, token: str, since: float) -> Batch | None:
        """The batch whose creation got no answer, if it turns up. It is never made a second time in this command."""
        try:
            return self._look_for(token, since)
        except Trouble:
            return None

    # ------------------------------------------------------------ collecting

    def _wait_and_collect(self) -> Iterator[Reply]:
        pause, most = self._model.polls
        misses = 0
        while self._live and not self._model.stopped:
            try:
                for id in tuple(self._live):
                    batch = self._provider.look(id)
                    if batch.ended:
                        yield from self._collect(batch)
                        del self._live[id]
                misses = 0
            except Trouble as trouble:
                misses += 1
                if misses == MISSES or trouble.fault.kind not in ("again", "rate"):
                    self._end(self._cannot_look(trouble))
                    return
            if self._again:
                again, self._again = self._again, []
                self._hand_over(again)
            if self._live:
                self._sleep(pause)
                pause = min(1.5 * pause, most)
        for id in self._live:
            note = f"batch {id} goes on at {self._wire.where}; the same command collects it"
            self._model.notes.append(note)
            _log.warning("%s", note)

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._model.stopped and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, STEP))

    def _cannot_look(self, trouble: Trouble) -> SciexamError:
        where, waiting, said = self._wire.where, ", ".join(self._live), trouble.fault.reason
        if trouble.fault.status == 404:
            hint = "use the key of the account that made it, or leave out --batch to ask, and pay, again"
            return Incomplete(f"{where} does not know batch {waiting}: {said}; {hint}")
        if trouble.fault.kind == "refused":
            return self._wire.refusal(trouble.fault)
        hint = "what it holds is kept there, run the same command to collect it"
        return Incomplete(f"{where}: cannot look at batch {waiting}: {said}; {hint}")

    def _collect(self, batch: Batch) -> Iterator[Reply]:
        """A reply for each of our keys in the batch; what is in neither of its files failed with it."""
        with ExitStack() as held:
            try:
                files = [held.enter_context(self._provider.content(file)) for file in batch.files]
                unanswered = f"batch {batch.status} without an answer{': ' if batch.said else ''}{batch.said}"
            except Trouble as trouble:
                if trouble.fault.status != 404:
                    raise
                files, unanswered = [], f"the results of batch {batch.id} are no longer kept: {trouble.fault.reason}"
            if batch.status != "completed":
                _log.warning("%s: batch %s ended as %s%s", self._wire.where, batch.id, batch.status, f": {batch.said}")
            left = set(self._live[batch.id])
            for key, line in chain.from_iterable(map(read_lines, files)):
                if key in left:
                    left.remove(key)
                    yield from self._settled(key, read_line(line, self._wire, self._sent.get(key, {})))
        for key in sorted(left):  # what an ended batch did not answer is not billed
            reason = self._wire.redaction.error(unanswered)
            yield from self._settled(key, Unanswered(reason, batch.status != "completed"))

    def _settled(self, key: str, outcome: Reply | Fault | Unanswered) -> Iterator[Reply]:
        """The reply that `outcome` is, if it is one; its cost is entered."""
        conversation, account = self._wanted[key], self._model.account
        cost: float | None = None
        if isinstance(outcome, Unanswered):
            cost = 0.0 if outcome.unbilled else None
            outcome = Fault("again", outcome.reason)
        elif account is not None:
            cost = account.cost(outcome)
        if key in self._reserved:
            self._reserved.pop(key).settle(cost)
        if isinstance(outcome, Reply):
            yield _signed(outcome, conversation)
        elif outcome.kind == "parameter" and self._wire.adapt(outcome):
            self._again.append(conversation)
        else:
            if outcome.kind == "refused":
                self._end(self._wire.refusal(outcome))
            yield _signed(_failed(outcome), conversation)


def _parts(lines: Iterable[tuple[str, bytes]]) -> Iterator[tuple[list[str], bytes]]:
    """The keys and the files, in parts that the provider takes."""
    keys: list[str] = []
    file = io.BytesIO()
    for key, line in lines:
        if keys and (len(keys) == MAX_REQUESTS or file.tell() + len(line) > MAX_BYTES):
            yield keys, file.getvalue()
            keys, file = [], io.BytesIO()
        keys.append(key)
        file.write(line)
    if keys:
        yield keys, file.getvalue()


def _failed(fault: Fault) -> Reply:
    return Reply("", status="failed", failure=fault.reason, raw=fault.raw)


def _signed(reply: Reply, asked: Conversation) -> Reply:
    return replace(reply, key=asked.key, attempt=asked.attempt)
