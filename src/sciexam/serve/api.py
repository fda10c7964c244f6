"""The endpoint: /health, /v1/models, /v1/chat/completions and /v1/completions, as OpenAI's clients know them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from sciexam.errors import did_you_mean
from sciexam.serve.bodies import DONE, Answers, data
from sciexam.serve.engine import Engine, Event, write_all
from sciexam.serve.refusal import Refusal
from sciexam.serve.request import Asked, asked, read_chat, read_completion

if TYPE_CHECKING:
    from sciexam.serve.admission import Admission
    from sciexam.serve.served import Served

LONGEST = 4096  # tokens of an answer, where the suite does not ask for more


class Api:
    """`served`: the models, by the names under which they are asked. `longest`: tokens of an answer, at most."""

    def __init__(self, served: Mapping[str, Served], admission: Admission, longest: int = LONGEST):
        self._served, self._admission, self._longest = served, admission, longest

    def routes(self) -> list[Route]:
        return [
            Route("/health", self._health),
            Route("/v1/models", self.answering(self._models)),
            Route("/v1/models/{model:path}", self.answering(self._model)),
            Route("/v1/chat/completions", self.answering(self._chat), methods=["POST"]),
            Route("/v1/completions", self.answering(self._completion), methods=["POST"]),
        ]

    def answering(self, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Answer whoever may ask; what is refused is told in OpenAI's shape."""

        async def endpoint(request: Request) -> Response:
            try:
                self._admission.check(request)
                _check_type(request)
                return await answer(request)
            except Refusal as refusal:
                return refusal.response()

        return endpoint

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [_card(name) for name in self._served]})

    async def _model(self, request: Request) -> Response:
        return JSONResponse(_card(self._one(request.path_params["model"]).name))

    async def _chat(self, request: Request) -> Response:
        body = read_chat(await request.body())
        return await self._answer(request, self._read(body), is_chat=True)

    async def _completion(self, request: Request) -> Response:
        body = read_completion(await request.body())
        return await self._answer(request, self._read(body), is_chat=False)

    def _read(self, body: Any) -> Asked:
        one = self._one(body.model)
        return one.prepared(asked(body, one.usual, self._longest))

    def _one(self, model: str) -> Served:
        if model not in self._served:
            told = f"The model {model!r} is not served here{did_you_mean(model, self._served)}"
            raise Refusal(404, told, "model", "model_not_found")
        return self._served[model]

    async def _answer(self, request: Request, asked: Asked, is_chat: bool) -> Response:
        engine = self._one(asked.model).engine
        answers = Answers(asked.model, engine.digest, is_chat, asked.n)
        logprobs = asked.sampling.top_logprobs is not None
        if not asked.stream:
            await unless_gone(request, _collect(engine, asked, answers))
            return JSONResponse(answers.whole(logprobs))
        events = write_all(engine, asked)
        # What is refused is refused before a stream begins, under a status of its own.
        first = await unless_gone(request, anext(events))
        return StreamingResponse(
            _stream(first, events, answers, asked), media_type="text/event-stream", headers=UNBUFFERED
        )


UNBUFFERED = {"cache-control": "no-store", "x-accel-buffering": "no"}


async def _collect(engine: Engine, asked: Asked, answers: Answers) -> None:
    async with aclosing(write_all(engine, asked)) as events:
        async for event in events:
            answers.note(event)


async def _stream(
    first: Event, events: AsyncGenerator[Event, None], answers: Answers, asked: Asked
) -> AsyncGenerator[bytes, None]:
    logprobs = asked.sampling.top_logprobs is not None
    async with aclosing(events):
        try:
            event: Event | None = first
            while event is not None:
                yield data(answers.chunk(event, logprobs))
                answers.note(event)
                event = await anext(events, None)
        except Refusal as refusal:
            yield data(refusal.body())
            return
        if asked.include_usage:
            yield data(answers.last())
        yield DONE


async def unless_gone(request: Request, work: Awaitable[Any]) -> Any:
    """The outcome of `work`, which is given up when whoever asked has left."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working, leaving = asyncio.ensure_future(work), asyncio.create_task(gone())
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Refusal(499, "Whoever asked has left.")
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


def _check_type(request: Request) -> None:
    """A page of another site can send a form without asking first, but no JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method == "POST" and kind != "application/json":
        raise Refusal(415, "Send JSON, with the header Content-Type: application/json")


def _card(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "sciexam"}


def no_such_page(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    told = {404: f"{request.method} {request.url.path} is not served here", 405: f"{request.method} does not go here"}
    return Refusal(status, told.get(status, "This does not go here")).response()


def trouble(request: Request, error: Exception) -> Response:
    """What went wrong here stays here."""
    return Refusal(500, "Something went wrong here. Ask again, or look at the server's terminal.").response()
