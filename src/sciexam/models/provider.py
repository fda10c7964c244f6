"""A provider's batch API: files go up, a batch is made of them, files come down."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from tempfile import TemporaryFile
from typing import IO, Any, Literal

from sciexam.errors import Incomplete, SciexamError, UsageError
from sciexam.models import calls
from sciexam.models.replies import OTHER_SHAPE, Fault, head, read_error
from sciexam.models.wire import Wire

WINDOW: Literal["24h"] = "24h"  # the one completion window that providers offer
MARK = "sciexam"  # the name of the metadata that says which of our batches it is
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
PAGE = 100  # batches on one page of a listing: the most that is given
LARGEST_RESULT = 4_000_000_000  # bytes of a result file: OpenAI's largest batch, with 80 kB for each answer
CLOCKS = 86_400.0  # seconds by which the provider's clock and ours may differ


@dataclass(frozen=True, slots=True)
class Batch:
    """What the provider says of a batch. `files`: its output and error file, as far as there are any."""

    id: str
    status: str
    files: tuple[str, ...] = ()
    said: str = ""  # why it failed as a whole
    token: str = ""
    created: float = 0.0  # seconds since 1970, by the provider's clock

    @property
    def ended(self) -> bool:
        return self.status in ENDED


class Trouble(Exception):
    """A request to the batch API that failed for good; nothing of the key is in the fault."""

    def __init__(self, fault: Fault):
        super().__init__(fault.reason)
        self.fault = fault


class Provider:
    """The batch API at the end of `wire`: every method waits for its answer. Use it as a context manager.

    What may pass by itself is asked again, at most `calls.TRIES` times. Raises Trouble when it does not pass.
    """

    def __init__(self, wire: Wire, max_wait: float):
        self._wire = wire
        self._max_wait = max_wait
        self._client = wire.client()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sciexam-batch", daemon=True)

    def __enter__(self) -> Provider:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._run(self._client.close())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(calls.HANG_UP)

    def upload(self, name: str, body: bytes) -> str:
        """The id of the file. One that is sent twice costs nothing: only a batch is paid for."""
        files = self._client.files.with_raw_response
        file = (name, body, "application/jsonl")
        return self._text(self._object(lambda: files.create(file=file, purpose="batch")), "id")

    def create(self, file: str, url: Any, token: str) -> Batch | None:
        """The batch, or None where nobody knows whether there is one: the request was lost on its way."""
        batches = self._client.batches.with_raw_response
        metadata = {MARK: token}

        def call() -> Awaitable[Any]:
            return batches.create(input_file_id=file, endpoint=url, completion_window=WINDOW, metadata=metadata)

        for nth in range(calls.TRIES):
            outcome = self._run(self._once(call))
            if isinstance(outcome, bytes):
                try:
                    return self._batch(self._parsed(outcome))
                except Trouble:  # whatever it says, there may be a batch now
                    return None
            if not _not_made(outcome):
                return None
            if not self._may_pass(outcome, nth):
                raise Trouble(outcome)
        raise AssertionError("the last try returns or raises")

    def find(self, token: str, since: float) -> Batch | None:
        """The batch that carries `token`, of those made after `since` (seconds since 1970); None: there is none."""
        batches = self._client.batches.with_raw_response
        after: dict[str, Any] = {}
        while True:
            # A paginator can be awaited: it gives its first page.
            page = self._object(partial(batches.list, limit=PAGE, **after))
            rows = page.get("data")
            found = [self._batch(row) for row in (rows if isinstance(rows, list) else []) if isinstance(row, dict)]
            for batch in found:
                if batch.token == token:
                    return batch
            if not (found and page.get("has_more")) or found[-1].created < since - CLOCKS:
                return None
            if found[-1].id == after.get("after"):
                raise Trouble(Fault("final", f"{OTHER_SHAPE}: its list of batches does not go on"))
            after = {"after": found[-1].id}

    def look(self, batch: str) -> Batch:
        batches = self._client.batches.with_raw_response
        return self._batch(self._object(lambda: batches.retrieve(batch)))

    @contextmanager
    def content(self, file: str) -> Iterator[IO[bytes]]:
        """A result file, in a temporary one of ours: it may be larger than what memory should hold."""
        with TemporaryFile() as kept:
            self._trying(lambda: self._download(file, kept))
            kept.seek(0)
            yield kept

    def _object(self, call: Callable[[], Any]) -> dict[str, Any]:
        return self._parsed(self._insist(call))

    def _insist(self, call: Callable[[], Any]) -> bytes:
        return self._trying(lambda: self._once(call))

    def _trying(self, attempt: Callable[[], Coroutine[Any, Any, bytes | Fault]]) -> bytes:
        for nth in range(calls.TRIES):
            outcome = self._run(attempt())
            if isinstance(outcome, bytes):
                return outcome
            if not self._may_pass(outcome, nth):
                raise Trouble(outcome)
        raise AssertionError("the last try returns or raises")

    def _may_pass(self, fault: Fault, nth: int) -> bool:
        """Whether it makes sense to ask again; if so, on return it is time to."""
        most = calls.FIRST_TRIES if fault.unreachable else calls.TRIES
        wait = fault.wait or 0.0
        if fault.kind not in ("again", "rate") or fault.status == 501 or nth + 1 >= most or wait > self._max_wait:
            return False
        time.sleep(max(wait, min(calls.BACKOFF * 2.0**nth, calls.BACKOFF_MOST)))
        return True

    async def _once(self, call: Callable[[], Any]) -> bytes | Fault:
        import openai

        try:
            answer = (await call()).http_response
        except openai.APIStatusError as error:
            answer = error.response
        except openai.APIConnectionError as error:
            return self._redacted(
                _broken(error.__cause__, f"timeout: nothing came for {self._wire.settings.timeout:g} s")
            )
        if answer.is_success:
            return bytes(answer.content)
        return self._redacted(read_error(answer.status_code, answer.headers, answer.content, {}))

    async def _download(self, file: str, kept: IO[bytes]) -> bytes | Fault:
        """Write what a file holds to `kept`, from its beginning: an earlier try may have left a part of it there."""
        import httpx2
        import openai

        kept.seek(0)
        kept.truncate()
        try:
            async with self._client.files.with_streaming_response.content(file) as answer:
                async for part in answer.iter_bytes():
                    kept.write(part)
                    if kept.tell() > LARGEST_RESULT:
                        return Fault("final", f"the results are larger than {LARGEST_RESULT / 1e9:g} GB")
        except openai.APIStatusError as error:
            status, headers, said = error.response.status_code, error.response.headers, error.response.content
            return self._redacted(read_error(status, headers, said, {}))
        except (openai.APIConnectionError, httpx2.HTTPError) as error:
            cause = error.__cause__ if isinstance(error, openai.APIConnectionError) else error
            return self._redacted(_broken(cause, f"timeout: nothing came for {self._wire.settings.timeout:g} s"))
        return b""

    def _redacted(self, fault: Fault) -> Fault:
        said = self._wire.redaction.error(fault.reason)
        return Fault(fault.kind, said, status=fault.status, wait=fault.wait, unreachable=fault.unreachable)

    def _parsed(self, body: bytes) -> dict[str, Any]:
        try:
            value = json.loads(self._wire.redaction.raw(body))
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise self._other_shape(body)
        return value

    def _text(self, value: Mapping[str, Any], name: str) -> str:
        found = value.get(name)
        if not isinstance(found, str) or not found:
            raise self._other_shape(json.dumps(value).encode())
        return found

    def _other_shape(self, body: bytes) -> Trouble:
        return Trouble(Fault("final", f"{OTHER_SHAPE}: {head(self._wire.redaction.error_raw(body))}"))

    def _batch(self, value: Mapping[str, Any]) -> Batch:
        metadata, errors, created = value.get("metadata"), value.get("errors"), value.get("created_at")
        files = [value.get(name) for name in ("output_file_id", "error_file_id")]
        told = errors.get("data") if isinstance(errors, dict) else None
        said = "; ".join(str(one.get("message", "")) for one in told or () if isinstance(one, dict))
        return Batch(
            id=self._text(value, "id"),
            status=self._text(value, "status"),
            files=tuple(file for file in files if isinstance(file, str) and file),
            said=self._wire.redaction.error(head(said.encode("utf-8", "replace"))),
            token=str(metadata.get(MARK, "")) if isinstance(metadata, dict) else "",
            created=float(created) if isinstance(created, (int, float)) else time.time(),
        )

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


def _broken(cause: BaseException | None, late: str) -> Fault:
    """What a connection that gave no whole answer says; `cause` is the transport's own error."""
    name = type(cause).__name__
    if name in ("ConnectError", "ConnectTimeout"):
        return Fault("again", f"endpoint unreachable: {cause or name}", outage=True, unreachable=True)
    if name.endswith("Timeout"):
        return Fault("again", late, outage=True, timeout=True)
    return Fault("again", f"connection lost: {cause or name}", outage=True)


def explained(trouble: Trouble, wire: Wire) -> SciexamError:
    """What the command says of it: where, what, and what to type next."""
    fault = trouble.fault
    if fault.status in (404, 405, 501):
        return UsageError(f"{wire.where} has no batch API ({fault.status}: {fault.reason}); leave out --batch")
    if fault.kind == "refused":
        return wire.refusal(fault)
    hint = "is it running, is base_url: right?" if fault.unreachable else "run the same command to go on"
    return Incomplete(f"{wire.where}: the batch API fails: {fault.reason}; {hint}")


def _not_made(fault: Fault) -> bool:
    """Whether a create certainly made no batch. A server's error may have come after the batch was made."""
    return fault.unreachable or (300 <= fault.status < 500 and fault.status not in (408, 409)) or fault.status == 501
