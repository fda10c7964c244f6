"""The page at /: one conversation with both models at once, in plain sight or blind, and what a vote on it becomes.

What a model says reaches the page as text in JSON, and the page as text nodes. Nothing of it is written down, here or
in a log, but what a visitor agreed to have kept.
"""

from __future__ import annotations

import json
import secrets
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from sciexam.errors import StoreError
from sciexam.report.pages import page_environment
from sciexam.report.plain_text import plain_text
from sciexam.serve.api import LONGEST, UNBUFFERED, Api
from sciexam.serve.engine import Ended, together
from sciexam.serve.refusal import Refusal
from sciexam.serve.request import as_usual
from sciexam.serve.talks import HANDS, Hand, Talk, Talks
from sciexam.serve.votes import Vote, new_visitor, vote_of
from sciexam.types import Message

if TYPE_CHECKING:
    from sciexam.serve.contestant import Pair
    from sciexam.serve.served import Served

VISITS = 10_000  # agreements that are remembered, of which the oldest is forgotten for one more
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


class Chat:
    """`keep` makes a vote durable, `forget` deletes those of a visitor; neither is called without an agreement."""

    def __init__(
        self,
        suite: str,
        pair: Pair,
        served: Mapping[str, Served],
        keep: Callable[[Vote], None],
        forget: Callable[[str], int],
        longest: int = LONGEST,
    ):
        self._suite, self._pair, self._served, self._longest = suite, pair, served, longest
        self._keep, self._forget = keep, forget
        self._talks = Talks(pair.names)
        self._visits: OrderedDict[str, str] = OrderedDict()  # the secret of a visit, and its pseudonym

    def routes(self, api: Api) -> list[Route]:
        def post(path: str, answer: Callable[[Request], Any]) -> Route:
            return Route(f"/chat/{path}", api.answering(answer), methods=["POST"])

        return [
            Route("/", _page),
            Route("/chat.css", _style),
            Route("/chat.js", _script),
            Route("/chat/about", api.answering(self._about)),
            post("say", self._say),
            post("reveal", self._reveal),
            post("agree", self._agree),
            post("vote", self._vote),
            post("forget", self._forgotten),
        ]

    async def _about(self, request: Request) -> Response:
        usual = self._served[self._pair.name].usual
        return JSONResponse(
            {
                "suite": self._suite,
                "names": list(self._pair.names),
                "why": plain_text(self._pair.why),
                "max_tokens": min(usual.max_tokens, self._longest),
                "temperature": usual.temperature,
            }
        )

    async def _say(self, request: Request) -> Response:
        given = await _fields(request, {"talk": (str, type(None)), "text": (str,), "blind": (bool,)})
        talk = self._talks.get(given["talk"]) if given["talk"] else self._talks.begin(given["blind"])
        asked = talk.ask(given["text"])
        lines = self._lines(talk, given["text"], asked)
        return StreamingResponse(lines, media_type="application/x-ndjson", headers=UNBUFFERED)

    async def _lines(
        self, talk: Talk, text: str, asked: Mapping[Hand, tuple[Message, ...]]
    ) -> AsyncGenerator[bytes, None]:
        """What both say as they say it, a JSON object a line; a question is part of the conversation once both have."""
        if talk.is_busy:
            return
        talk.is_busy = True
        said: dict[Hand, list[str]] = {hand: [] for hand in asked}
        ended: set[Hand] = set()
        try:
            yield _line(talk=talk.id, names=None if talk.is_blind else talk.names)
            sources = [self._source(talk.names[hand], messages) for hand, messages in asked.items()]
            async with aclosing(together(sources)) as events:
                async for number, event in events:
                    hand = HANDS[number]
                    if isinstance(event, Exception):
                        told = event.message if isinstance(event, Refusal) else "Something went wrong here."
                        yield _line(hand=hand, error=plain_text(told))
                    elif isinstance(event, Ended):
                        ended.add(hand)
                        yield _line(hand=hand, end=event.finish)
                    else:
                        said[hand].append(event.text)
                        yield _line(hand=hand, text=plain_text(event.text))
            if len(ended) == len(asked):
                talk.answered(text, {hand: "".join(parts) for hand, parts in said.items()})
            yield _line(done=len(ended) == len(asked))
        finally:
            talk.is_busy = False

    def _source(self, name: str, messages: tuple[Message, ...]) -> AsyncGenerator[Any, None]:
        one = self._served[name]
        return one.engine.write(one.prepared(as_usual(name, messages, one.usual, self._longest)))

    async def _reveal(self, request: Request) -> Response:
        given = await _fields(request, {"talk": (str,)})
        return JSONResponse({"names": self._talks.get(given["talk"]).reveal()})

    async def _agree(self, request: Request) -> Response:
        """The page has shown what is stored, and the visitor wants it so, for this visit."""
        await _fields(request, {})
        visit, visitor = secrets.token_urlsafe(24), new_visitor()
        self._visits[visit] = visitor
        while len(self._visits) > VISITS:
            self._visits.popitem(last=False)
        return JSONResponse({"visit": visit, "visitor": visitor})

    async def _vote(self, request: Request) -> Response:
        given = await _fields(request, {"talk": (str,), "choice": (str,), "visit": (str, type(None))})
        talk = self._talks.get(given["talk"])
        if not talk.is_blind or talk.is_voted or talk.is_busy or not all(talk.said.values()) or len(talk.said) < 2:
            raise Refusal(409, "There is nothing to vote on: a vote is given once, blind, on two whole answers.")
        visitor = self._visitor(given["visit"]) if given["visit"] is not None else None
        vote = vote_of(talk, given["choice"], visitor or new_visitor())
        talk.is_voted = True
        if visitor is not None:
            try:
                await run_in_threadpool(self._keep, vote)
            except StoreError:
                talk.is_voted = False
                raise Refusal(503, "The vote could not be kept just now. Vote again, or without keeping it.") from None
        return JSONResponse({"names": talk.reveal(), "kept": visitor is not None})

    async def _forgotten(self, request: Request) -> Response:
        given = await _fields(request, {"visit": (str,)})
        count = await run_in_threadpool(self._forget, self._visitor(given["visit"]))
        return JSONResponse({"deleted": count})

    def _visitor(self, visit: str) -> str:
        if visit not in self._visits:
            raise Refusal(403, "This visit is over: agree once more to have votes kept.")
        return self._visits[visit]


async def _fields(request: Request, kinds: Mapping[str, tuple[type, ...]]) -> dict[str, Any]:
    """The fields of what the page sends. Raises Refusal for anything else."""
    try:
        given = json.loads(await request.body())
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict) or given.keys() != kinds.keys():
        raise Refusal(400, "The page sent something that this server does not know. Load it again.")
    for name, value in given.items():
        if not isinstance(value, kinds[name]):
            raise Refusal(400, "The page sent something that this server does not know. Load it again.", name)
    return given


def _line(**event: Any) -> bytes:
    return json.dumps(event).encode() + b"\n"


async def _page(request: Request) -> Response:
    body = _templates().get_template("chat.html.j2").render()
    return HTMLResponse(body, headers={"content-security-policy": POLICY})


async def _style(request: Request) -> Response:
    look = _templates().get_template("look.css.j2").render()
    return Response(f"{look}\n{_asset('chat.css')}", media_type="text/css")


async def _script(request: Request) -> Response:
    return Response(_asset("chat.js"), media_type="text/javascript")


@cache
def _asset(name: str) -> str:
    return files("sciexam.serve").joinpath("static", name).read_text(encoding="utf-8")


@cache
def _templates() -> Any:
    return page_environment("sciexam.serve")
