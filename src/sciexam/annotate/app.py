"""The pages of annotators, and their forms: every address begins with a personal link, and there is nothing beside."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl

from markupsafe import Markup
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from sciexam.annotate.desk import Desk, NotYours, Progress, Showing
from sciexam.annotate.links import LinkRefused, Links
from sciexam.annotate.markup import to_html
from sciexam.annotate.said import RANKING, choices_of, read_turn
from sciexam.annotate.scale import CANNOT, options_of
from sciexam.errors import StoreError, UsageError
from sciexam.report.pages import page_environment
from sciexam.store.annotations import WITHDRAWN
from sciexam.store.annotators import Annotator
from sciexam.web.guard import Guard

FIELDS = 100  # of one form
RETURNED = "Taken back. Judge it again."
ELSEWHERE = "You judged this already, in another window or before. What stands is marked; choose again to change it."
_log = logging.getLogger(__name__)


class Pages:
    """What annotators see of one desk."""

    def __init__(self, desk: Desk, links: Links):
        self.desk, self.links = desk, links

    def app(self, origins: Collection[str], more: Sequence[Route] = ()) -> Guard:
        """The ASGI application, served under `origins`; `more` are the routes of other pages beside these."""
        routes = [
            Route("/a/{token}", self._looking(self._next)),
            Route("/a/{token}/next", self._looking(self._next)),
            Route("/a/{token}/item/{item}", self._looking(self._item)),
            Route("/a/{token}/item/{item}", self._doing(self._judge), methods=["POST"]),
            Route("/a/{token}/item/{item}/draft", self._doing(self._draft), methods=["POST"]),
            Route("/a/{token}/undo", self._doing(self._undo), methods=["POST"]),
            Route("/a/{token}/pause", self._looking(self._pause)),
            Route("/a/{token}/pause", self._doing(self._pause), methods=["POST"]),
            Route("/a/{token}/history", self._looking(self._history)),
            *more,
        ]
        handlers: Mapping[Any, Any] = {HTTPException: _no_such_page, Exception: _trouble}
        return Guard(Starlette(routes=routes, exception_handlers=handlers), origins)

    # ------------------------------------------------------------ who asks

    def _looking(self, answer: Callable[..., Response]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            return await run_in_threadpool(self._answered, request, answer, ())

        return endpoint

    def _doing(self, answer: Callable[..., Response]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            try:
                form = read_fields(await request.body())
            except UsageError as error:
                return message(str(error), 413)
            return await run_in_threadpool(self._answered, request, answer, (form,))

        return endpoint

    def _answered(self, request: Request, answer: Callable[..., Response], form: tuple[Any, ...]) -> Response:
        """Answer whoever holds the link; what goes wrong is told in plain words, under a status that says it too."""
        base = f"/a/{request.path_params['token']}"
        try:
            person = self.links.holder(request.path_params["token"])
            if person.is_owner:
                return RedirectResponse(f"/owner/{request.path_params['token']}", 303)
            return answer(request, base, person, *form)
        except LinkRefused as error:
            return message(str(error), 403, "This link does not open anything")
        except NotYours as error:
            return message(str(error), 404, "Not here", [(f"{base}/next", "Go on")])
        except StoreError as error:
            # What is wrong with the ledger is for its owner to read, on the terminal.
            _log.error("%s", error)
            return message("It could not be saved just now. Nothing is lost: try again.", 503)

    # ------------------------------------------------------------ looking

    def _next(self, request: Request, base: str, person: Annotator) -> Response:
        item = self.desk.next(person)
        if item is not None:
            return RedirectResponse(f"{base}/item/{item}", 303)
        progress = self.desk.progress(person)
        waiting = self.desk.is_waiting(person)
        return self._page("done.html.j2", base, person, "Done", progress=progress, done=progress.done, waiting=waiting)

    def _item(self, request: Request, base: str, person: Annotator) -> Response:
        showing = self.desk.show(person, request.path_params["item"])
        return self._show(base, person, showing, "" if showing.is_judged or not showing.place.turns else RETURNED)

    def _show(
        self,
        base: str,
        person: Annotator,
        showing: Showing,
        note: str,
        status: int = 200,
        form: Mapping[str, str] | None = None,
    ) -> Response:
        kind = "pair" if showing.item.kind == "gold" else showing.item.kind
        view = _view(self.desk, showing)
        return self._page(
            f"{kind}.html.j2",
            base,
            person,
            "Which answer is better?" if kind == "pair" else "Rank the answers" if kind == "ranking" else "An answer",
            status=status,
            note=note,
            item=view if form is None else _entered(view, form),
            scale=options_of(self.desk.queue.scale),
            cannot=CANNOT,
            rubric=_rubric(self.desk),
            guide=to_html(self.desk.queue.guide) if self.desk.queue.guide else "",
        )

    def _pause(self, request: Request, base: str, person: Annotator, form: Mapping[str, str] | None = None) -> Response:
        if form is not None:
            self.desk.pause(person)
            return RedirectResponse(f"{base}/pause", 303)
        progress = self.desk.progress(person)
        suggested = "suggested" in request.query_params
        done, total = progress.done, progress.total
        return self._page(
            "pause.html.j2", base, person, "A break", progress, suggested=suggested, done=done, total=total
        )

    def _history(self, request: Request, base: str, person: Annotator) -> Response:
        done = self.desk.history(person)
        last = {one.item: one for one in done}
        entries = []
        for one in reversed(done):
            item = self.desk.queue.by_id.get(one.item)
            if item is None:
                continue
            said = "Taken back" if one.choice == WITHDRAWN else choices_of(self.desk.queue, item)[one.choice]
            entries.append(
                {
                    "url": f"{base}/item/{one.item}",
                    "question": item.prompt.text,
                    "said": said,
                    "when": datetime.fromtimestamp(one.at / 1000, UTC).strftime("%-d %B, %H:%M UTC"),
                    "withdrawn": one.choice == WITHDRAWN,
                    "current": last[one.item] is one,
                }
            )
        return self._page("history.html.j2", base, person, "What you judged", entries=entries)

    # ------------------------------------------------------------ doing

    def _judge(self, request: Request, base: str, person: Annotator, form: Mapping[str, str]) -> Response:
        id = request.path_params["item"]
        try:
            kept = self.desk.judge(person, id, read_turn(form), form)
        except (NotYours, StoreError):
            raise
        except UsageError as error:
            return self._show(base, person, self.desk.show(person, id), str(error), 422, form)
        if not kept:
            return self._show(base, person, self.desk.show(person, id), ELSEWHERE, 409, form)
        return _go_on(request, self._after(base, person))

    def _after(self, base: str, person: Annotator) -> str:
        done = self.desk.progress(person).done
        if done and done % self.desk.queue.pause_after == 0:
            return f"{base}/pause?suggested"
        item = self.desk.next(person)
        return f"{base}/item/{item}" if item else f"{base}/next"

    def _draft(self, request: Request, base: str, person: Annotator, form: Mapping[str, str]) -> Response:
        try:
            self.desk.draft(person, request.path_params["item"], form)
        except (NotYours, StoreError):
            raise
        except UsageError as error:
            return PlainTextResponse(str(error), 422)
        return Response(status_code=204)

    def _undo(self, request: Request, base: str, person: Annotator, form: Mapping[str, str]) -> Response:
        item = self.desk.undo(person, form.get("last", ""))
        return _go_on(request, f"{base}/item/{item}" if item else f"{base}/next")

    # ------------------------------------------------------------ pages

    def _page(
        self,
        template: str,
        base: str,
        person: Annotator,
        title: str,
        progress: Progress | None = None,
        note: str = "",
        status: int = 200,
        **context: Any,
    ) -> Response:
        progress = progress or self.desk.progress(person)
        undo = self.desk.last(person)
        given = {"base": base, "title": title, "progress": progress, "note": note, "can_undo": undo, **context}
        return page(template, status, **given)


# ---------------------------------------------------------------- what templates are given


def _view(desk: Desk, showing: Showing) -> dict[str, Any]:
    item, said = showing.item, showing.said
    # A text is known to the page by its place in the layout: its place in the item would tell whose it is.
    texts = [item.texts[slot] for slot in showing.place.shown]
    names = ["Left", "Right"] if item.kind in ("pair", "gold") else list("ABCDEFGHI")
    order = [showing.place.shown.index(slot) for slot in said.ranking] or list(range(len(texts)))
    numbered = {criterion.name: str(number) for number, criterion in enumerate(desk.queue.rubric.criteria)}
    draft = {
        "comment": said.comment,
        "criteria": {numbered[name]: hand for name, hand in said.criteria.items() if name in numbered},
        "text": said.text,
    }
    return {
        "id": showing.place.item,
        "turns": [(message.role, to_html(message.content)) for message in item.prompt.messages],
        "answers": [
            {"name": name, "slot": place, "html": to_html(text)}
            for place, (name, text) in enumerate(zip(names, texts, strict=False))
        ],
        "order": order,
        "turn": showing.place.turns,
        "said": order if showing.place.choice == RANKING else showing.place.choice,
        "said_label": choices_of(desk.queue, item)[showing.place.choice] if showing.place.choice else "",
        "draft": draft,
        "proposal": texts[0] if texts else "",
        "proposal_html": to_html(texts[0]) if texts else "",
    }


def _entered(view: dict[str, Any], form: Mapping[str, str]) -> dict[str, Any]:
    """The view with what stands in a form that was not kept, so that nobody has to enter it again."""
    criteria = {name.removeprefix("criterion-"): hand for name, hand in form.items() if name.startswith("criterion-")}
    draft = {
        "comment": form.get("comment", ""),
        "criteria": {number: hand for number, hand in criteria.items() if hand},
        "text": form.get("text", ""),
    }
    # Answers of the same rank become neighbours. There are nine at most: ranks have one digit.
    return view | {"draft": draft, "order": sorted(view["order"], key=lambda place: form.get(f"rank-{place}", ""))}


def _rubric(desk: Desk) -> dict[str, Any]:
    rubric = desk.queue.rubric
    total = sum(criterion.weight for criterion in rubric.criteria)
    criteria = [
        {
            "name": criterion.name,
            "question": criterion.question,
            "share": f"{criterion.weight / total:.0%}",
            "levels": [(level.label, level.anchor) for level in criterion.levels],
        }
        for criterion in rubric.criteria
    ]
    return {"name": rubric.rubric, "about": rubric.about, "criteria": criteria, "text": rubric.render()}


def read_fields(body: bytes) -> dict[str, str]:
    """The fields of a form, the last one of each name. Raises UsageError for more than a form of ours can have."""
    try:
        pairs = parse_qsl(body.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=FIELDS)
    except ValueError:
        raise UsageError("This form has more fields than any of ours. Nothing was changed.") from None
    return dict(pairs)


def page(template: str, status: int = 200, styles: Sequence[str] = ("annotate.css",), **context: Any) -> Response:
    """A page from its template, with the styles and the script in it, and no leave to load anything else."""
    style, script = "\n".join(map(_asset, styles)), _asset("annotate.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; img-src data:"
    )
    body = _templates().get_template(template).render(css=Markup(style), js=Markup(script), **context)  # noqa: S704
    return HTMLResponse(body.encode("utf-8", "replace"), status, {"content-security-policy": policy})


def message(text: str, status: int, heading: str = "", links: Sequence[tuple[str, str]] = ()) -> Response:
    """A page that says one thing in plain words."""
    heading = heading or {413: "Too much at once", 503: "Not saved"}.get(status, "This did not work")
    shown: dict[str, Any] = {"heading": heading, "text": text, "links": links}
    return page("message.html.j2", status, base=None, title=heading, progress=None, note="", can_undo="", **shown)


def _go_on(request: Request, url: str) -> Response:
    """Where to go from here: told to the page's script, or as a redirect to whoever has none."""
    return JSONResponse({"next": url}) if "x-sciexam" in request.headers else RedirectResponse(url, 303)


def _no_such_page(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    answer = message("There is no such page. Open the link as you were given it.", status, "Not here")
    answer.headers.update(getattr(error, "headers", None) or {})
    return answer


def _trouble(request: Request, error: Exception) -> Response:
    _log.error("a page failed", exc_info=error)
    return message("Something went wrong here, and it was noted. Nothing is lost: try again.", 500)


@cache
def _asset(name: str) -> str:
    return files("sciexam.annotate").joinpath("static", name).read_text(encoding="utf-8")


@cache
def _templates() -> Any:
    return page_environment("sciexam.annotate")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
