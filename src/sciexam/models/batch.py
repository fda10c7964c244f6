"""A model asked through its provider's batch API: handed over whole, collected within a day, paid for once."""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from sciexam.errors import Incomplete, SciexamError
from sciexam.models.calls import GRACE
from sciexam.models.openai import OpenAIModel
from sciexam.models.provider import Batch, Provider, Trouble, explained
from sciexam.models.replies import OTHER_SHAPE, Fault, head
from sciexam.models.spending import Reservation
from sciexam.models.wire import Request, Wire
from sciexam.types import Conversation, Reply

MAX_REQUESTS = 50_000  # in one batch, and
MAX_BYTES = 200_000_000  # in its file: OpenAI's limits
POLLS = (1.0, 60.0)  # seconds between two looks at a batch: at first, and at most
STEP = 0.05  # seconds of sleep between two looks at whether to stop
MISSES = 10  # looks in a row that fail, each after tries of its own, before the waiting ends
FINDS = 3  # looks for a batch whose creation was lost on its way, before it is left to the next command

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A batch that may still hold what is in no ledger. `id` is the provider's; None: nobody knows if it was made.

    `requests`: the attempt by the key of each conversation. `at`: when it was intended, in seconds since 1970.
    """

    token: str
    id: str | None
    requests: Mapping[str, int]
    at: float


class BatchJournal(Protocol):
    """Where batches are written down, durably, before anything of them can be billed."""

    def intend(self, token: str, model: str, requests: Mapping[str, int]) -> None:
        """A batch with these requests is about to be made for the model with digest `model`."""
        ...

    def name(self, token: str, batch: str) -> None:
        """The provider calls it `batch`."""
        ...

    def open_batches(self, model: str) -> Sequence[OpenBatch]:
        """Those of this model, the oldest first, that may hold replies which are stored nowhere."""
        ...

    def close(self, token: str) -> None:
        """It was never made."""
        ...


class BatchModel(OpenAIModel):
    """An OpenAIModel whose requests go through `/v1/batches`, with the same digest, so with the same facts.

    Every batch is in `journal` before its file is sent, and carries its token there as metadata. A later call that
    asks for the same conversation and attempt collects it from the batch it is in, and asks for the rest. `polls`:
    seconds between two looks at a batch, at first and at most.
    """

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
            self._commit(key)
        for found, keys in self._live.items():
            _log.warning("%s: %s requests are in batch %s already; waiting for it", self._wire.where, len(keys), found)

    def _asks(self, key: str, attempt: int) -> bool:
        return key in self._wanted and self._wanted[key].attempt == attempt

    def _found(self, intended: OpenBatch) -> str | None:
        """The provider's id of a batch that we do not know the end of; it is closed where the provider has none."""
        found = self._provider.find(intended.token, intended.at)
        if found is None:
            self._model.journal.close(intended.token)
            return None
        self._model.journal.name(intended.token, found.id)
        return found.id

    def _commit(self, key: str) -> None:
        account = self._model.account
        request = self._wire.request(self._wanted[key])
        if account is not None and isinstance(request, Request):
            worst = account.at_most(request.content, request.options["max_tokens"])
            self._reserved[key] = account.budget.commit(worst)

    def _hand_over(self, conversations: Iterable[Conversation]) -> None:
        """Hand over what the budget has room for. What is not handed over in the end is not owed to anyone."""
        lines = self._lines(conversations)
        for part in _parts(lines):
            if self._model.stopped or self._ending is not None:
                self._free(part)
            else:
                self._submit(part)

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
            self._sent[conversation.key] = options = self._wire._spoken(request.options)
            said = {"prompt" if isinstance(request.content, str) else "messages": request.content}
            body = {"model": self._wire.settings.model} | said | options
            line = {"custom_id": conversation.key, "method": "POST", "url": self._url, "body": body}
            yield conversation.key, json.dumps(line, ensure_ascii=False).encode() + b"\n"

    @property
    def _url(self) -> str:
        return "/v1/chat/completions" if self._wire.settings.chat_template is None else "/v1/completions"

    def _submit(self, part: Mapping[str, bytes]) -> None:
        """Write it down, send the file, make the batch, write its name down: killed anywhere, it is paid for once."""
        journal, token = self._model.journal, secrets.token_hex(16)
        began = time.time()
        journal.intend(token, self._model.digest, {key: self._wanted[key].attempt for key in part})
        try:
            file = self._provider.upload(f"sciexam-{token}.jsonl", b"".join(part.values()))
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
        pause = self._model.polls[0]
        for nth in range(FINDS):
            self._sleep(pause * 2**nth)
            try:
                if (found := self._provider.find(token, since)) is not None:
                    return found
            except Trouble:
                break
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
        try:
            lines = {key: value for file in batch.files for key, value in _read(self._provider.content(file))}
            unanswered = f"batch {batch.status} without an answer{': ' if batch.said else ''}{batch.said}"
        except Trouble as trouble:
            if trouble.fault.status != 404:
                raise
            lines, unanswered = {}, f"the results of batch {batch.id} are no longer kept: {trouble.fault.reason}"
        if batch.status != "completed":
            _log.warning("%s: batch %s ended as %s%s", self._wire.where, batch.id, batch.status, f": {batch.said}")
        for key in sorted(self._live[batch.id]):
            conversation = self._wanted[key]
            if key in lines:
                outcome, cost = self._outcome(lines[key], key)
            else:
                outcome = Fault("again", self._wire._redaction.error(unanswered))
                cost = None if batch.status == "completed" else 0.0  # what an ended batch did not answer is not billed
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

    def _outcome(self, line: Mapping[str, Any], key: str) -> tuple[Reply | Fault, float | None]:
        """What one line means, read as the answer to a direct call is, and what it cost."""
        account, redaction = self._model.account, self._wire._redaction
        response, error = line.get("response"), line.get("error")
        if not isinstance(response, dict):
            said = error.get("message") or error.get("code") if isinstance(error, dict) else None
            return Fault("again", redaction.error(head(str(said or OTHER_SHAPE).encode()))), 0.0 if said else None
        body, status = response.get("body"), response.get("status_code")
        raw = body.encode("utf-8", "replace") if isinstance(body, str) else json.dumps(body).encode()
        options = self._sent.get(key) or self._options(key)
        outcome = self._wire._read(_Answer(raw, status if isinstance(status, int) else 200), options)
        cost = None if account is None else account.cost(outcome)
        if isinstance(outcome, Reply):
            return replace(outcome, text=redaction.text(outcome.text)), cost
        return replace(outcome, reason=redaction.error(outcome.reason), raw=redaction.error_raw(outcome.raw)), cost

    def _options(self, key: str) -> dict[str, Any]:
        request = self._wire.request(self._wanted[key])
        return {} if isinstance(request, Fault) else self._wire._spoken(request.options)


@dataclass(frozen=True, slots=True)
class _Answer:
    """A line's response in the shape of the transport's; a batch keeps no headers."""

    content: bytes
    status_code: int

    @property
    def is_success(self) -> bool:
        return 200 <= self.status_code < 300

    @property
    def headers(self) -> dict[str, str]:
        return {}


def _parts(lines: Iterable[tuple[str, bytes]]) -> Iterator[dict[str, bytes]]:
    """The lines by key, in parts that the provider takes."""
    part: dict[str, bytes] = {}
    size = 0
    for key, line in lines:
        if part and (len(part) == MAX_REQUESTS or size + len(line) > MAX_BYTES):
            yield part
            part, size = {}, 0
        part[key] = line
        size += len(line)
    if part:
        yield part


def _read(body: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """The lines of a result file by their custom_id. A line that is none is left out: its key has no answer then."""
    for text in body.split(b"\n"):
        try:
            line = json.loads(text) if text.strip() else None
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict) and isinstance(line.get("custom_id"), str):
            yield line["custom_id"], line


def _failed(fault: Fault) -> Reply:
    return Reply("", status="failed", failure=fault.reason, raw=fault.raw)


def _signed(reply: Reply, asked: Conversation) -> Reply:
    return replace(reply, key=asked.key, attempt=asked.attempt)
