"""The pages of whoever runs a study: how it stands, what annotators disagree on, adjudication, and downloads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sciexam.annotate.app import message, page, read_fields
from sciexam.annotate.assignment import layout_of
from sciexam.annotate.blinding import naming
from sciexam.annotate.desk import Desk, NotYours
from sciexam.annotate.export import DOWNLOADS, EXPORTS, exported
from sciexam.annotate.links import LinkRefused, Links
from sciexam.annotate.markup import to_html
from sciexam.annotate.overview import Disputed, Overview
from sciexam.annotate.overview_text import ago, left_outside, rates_of, state_of, where
from sciexam.annotate.queue import Queue
from sciexam.annotate.said import DECISIONS, RANKING, read_turn
from sciexam.annotate.scale import CANNOT, option_of, options_of, with_tie
from sciexam.errors import StoreError, UsageError
from sciexam.store import Store
from sciexam.store.annotations import Load
from sciexam.store.annotators import Annotator
from sciexam.typed import Command

MINUTES = 24 * 60.0  # for which a pair lies before whoever adjudicates


class OwnerPages:
    """The routes under the owner's link."""

    def __init__(self, store: Store, queue: Queue, links: Links, command: Command):
        self._store, self._queue, self._links, self._command = store, queue, links, command
        self._scale = with_tie(queue.scale)
        self._desk = Desk(store, queue.model_copy(update={"scale": self._scale}))
        self._counted: tuple[tuple[int, list[Annotator]], Overview] | None = None

    def routes(self) -> Sequence[Route]:
        return [
            Route("/owner/{token}", self._endpoint(self._overview)),
            Route("/owner/{token}/disputed", self._endpoint(self._disputed)),
            Route("/owner/{token}/disputed/{item}", self._endpoint(self._adjudicate), methods=["POST"]),
            Route("/owner/{token}/export/{what}", self._endpoint(self._export)),
        ]

    def _endpoint(self, answer: Callable[..., Response]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            try:
                form = read_fields(await request.body() if request.method == "POST" else b"")
            except UsageError as error:
                return message(str(error), 413)
            return await run_in_threadpool(self._answered, request, form, answer)

        return endpoint

    def _answered(self, request: Request, form: Mapping[str, str], answer: Callable[..., Response]) -> Response:
        base = f"/owner/{request.path_params['token']}"
        try:
            owner = self._links.holder(request.path_params["token"])
            if not owner.is_owner:
                raise LinkRefused("This page is for whoever runs the study.")
            return answer(request, base, owner, form)
        except LinkRefused as error:
            return message(str(error), 403, "This link does not open anything")
        except NotYours as error:
            return message(str(error), 404, "Not here", [(base, "Back")])
        except StoreError as error:
            return message(str(error), 503)
        except UsageError as error:
            return message(str(error), 422, links=[(base, "Back")])

    def overview(self) -> Overview:
        """How the queue stands; counted again when something was judged since, or somebody came or went."""
        now = self._store.annotations.newest(self._queue.id), self._store.annotators.all()
        if self._counted is None or self._counted[0] != now:
            self._counted = now, Overview(self._store, self._queue)
        return self._counted[1]

    def _overview(self, request: Request, base: str, owner: Annotator, form: Mapping[str, str]) -> Response:
        found = self.overview()
        return self._page(
            "overview.html.j2",
            base,
            "How the study stands",
            found,
            progress_of={one.id: self._desk.progress(one) for one in found.people},
            names={one.pseudonym: one.label for one in found.people},
            state_of=state_of,
            rates_of=rates_of,
            where=where(found),
            outside=left_outside(found),
            ago=ago,
            options=options_of(self._queue.scale),
            decided={**DECISIONS, RANKING: "Ranked", CANNOT.value: CANNOT.label},
            downloads=[what for what in EXPORTS if what in DOWNLOADS[self._queue.task]],
            several=self._several,
            command=self._command,
            naming=self._naming,
        )

    @cached_property
    def _naming(self) -> tuple[int, int]:
        return naming(self._queue)

    @property
    def _several(self) -> bool:
        """Whether contestants are compared, and not the samples of one (see `queue._given`)."""
        return len({name.partition(" #")[0] for name in self._queue.contestants}) > 1

    def _disputed(self, request: Request, base: str, owner: Annotator, form: Mapping[str, str]) -> Response:
        found = self.overview()
        shown = [self._view(one, owner) for one in found.disputed]
        buttons = options_of(self._scale)
        saved = request.query_params.get("saved", "")
        return self._page("disputed.html.j2", base, "Disagreements", found, shown=shown, options=buttons, saved=saved)

    def _view(self, one: Disputed, owner: Annotator) -> dict[str, Any]:
        """Both answers, left and right as they would be shown to one more annotator: blind here too."""
        place = self._store.annotations.assignment(self._queue.id, owner.id, one.item.id)
        order = place.shown if place else layout_of(self._queue, one.item, owner.id, Load())
        said = option_of(self._queue.scale, place.choice) if place and place.choice else None
        return {
            "id": one.item.id,
            "text": one.item.prompt.text,
            "question": [(turn.role, to_html(turn.content)) for turn in one.item.prompt.messages],
            "answers": [to_html(one.item.texts[slot]) for slot in order],
            "counts": " : ".join(map(str, one.counts)),
            "is_split": one.is_split,
            "votes": [(vote.annotator, self._side(one, vote.winner, order), vote) for vote in one.votes],
            "said": place.choice if place else None,
            "said_label": said.label if said else "",
            "comment": one.adjudicated.comment if one.adjudicated else "",
            "turn": place.turns if place else 0,
        }

    def _side(self, one: Disputed, winner: str | None, order: Sequence[int]) -> str:
        if not winner:
            return "cannot judge" if winner is None else "equal"
        return "left" if one.item.by[order[0]] == winner else "right"

    def _adjudicate(self, request: Request, base: str, owner: Annotator, form: Mapping[str, str]) -> Response:
        item = self._queue.by_id.get(request.path_params["item"])
        if item is None or item.kind != "pair" or item.id != request.path_params["item"]:
            raise NotYours("There is no such pair in this queue.")
        order = layout_of(self._queue, item, owner.id, Load())
        self._store.annotations.assign(self._queue.id, owner.id, MINUTES, lambda mine, loads: (item.id, order))
        if not self._desk.judge(owner, item.id, read_turn(form), form):
            raise UsageError("This was adjudicated already, in another window. Look at it once more.")
        return RedirectResponse(f"{base}/disputed?saved={item.id}#saved", 303)

    def _export(self, request: Request, base: str, owner: Annotator, form: Mapping[str, str]) -> Response:
        what, _, suffix = request.path_params["what"].partition(".")
        if what not in EXPORTS or suffix not in ("csv", "jsonl"):
            raise NotYours(f"There is {', '.join(EXPORTS)} to download, as .csv or .jsonl.")
        text = exported(self._store, self._queue, what, suffix)
        media = "text/csv" if suffix == "csv" else "application/x-ndjson"
        disposition = f'attachment; filename="{what}.{suffix}"'
        headers = {"content-disposition": disposition, "content-security-policy": "default-src 'none'; sandbox"}
        return Response(text.encode("utf-8", "surrogatepass"), media_type=media, headers=headers)

    def _page(self, template: str, base: str, title: str, overview: Overview, **context: Any) -> Response:
        return page(
            template,
            styles=("annotate.css", "owner.css"),
            base=base,
            title=title,
            progress=None,
            note="",
            can_undo="",
            overview=overview,
            queue=self._queue,
            exports=EXPORTS,
            **context,
        )
