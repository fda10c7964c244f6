"""An annotator, a stranger and an owner ask every route for what is somebody else's."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urlsplit

from asked import (
    METHODS,
    SECRET,
    Answer,
    ask,
    next_item,
    routes,
    said,
    stored,
    submit,
    token_of,
)
from rows import Tally
from sciexam.annotate.links import Links
from sciexam.store.annotators import Annotator
from study import Study


def test_no_route_answers_anybody_but_who_it_is_for(site: Study, links: dict[str, str], tally: Tally) -> None:
    """Each route, with each link, for what Bert judged, and for what Bert is about to judge."""
    judged, begun = (one for one in stored(site)[1] if one.annotator == 2)
    before = stored(site)
    with site.store() as store:
        forged = Links(store).token(Annotator(99, "annotator-99", None, "0" * 32, 2**62, "open"))
    asked = 0
    holders = {"nobody": forged, "ada": token_of(links["Ada"]), "owner": token_of(links["owner"])}
    form = {"turn": "0", "choice": "right-much", "comment": "mine now", "last": f"{judged.item}.0"}
    everything = routes(site)
    assert len(everything) >= 11
    for path, methods in everything:
        for who, token in holders.items():
            for item in (judged.item, begun.item):
                target = path.format(token=token, item=item, what="verdicts.csv")
                asked += len(methods & {"GET", "POST"})
                if "GET" in methods:
                    _nothing_of_bert(ask(site, target), who, path)
                if "POST" in methods and not (who == "owner" and path.startswith("/owner")):
                    _nothing_of_bert(submit(site, target, form), who, path)
    count, assigned = stored(site)
    assert count == before[0]
    assert [one for one in assigned if one.annotator == 2] == [one for one in before[1] if one.annotator == 2]
    tally(asked)


def _nothing_of_bert(answer: Answer, who: str, path: str) -> None:
    of_owner = path.startswith("/owner")
    if who == "nobody":
        assert answer.status == 403, path
    elif who == "owner" and not of_owner:
        assert answer.status == 303, path
        assert answer.headers["location"].startswith("/owner/"), path
    elif who == "ada" and of_owner:
        assert answer.status == 403, path
        assert "This page is for whoever runs the study." in said(answer)
    elif who == "ada":
        assert answer.status == 404 if "{item}" in path else answer.status in (200, 303), path
    if who != "owner":
        assert SECRET not in unescape(answer.text), path
        assert "Quagga" not in answer.text, path


def test_who_follows_every_link_finds_only_their_own_pages(site: Study, links: dict[str, str]) -> None:
    own = urlsplit(links["Ada"]).path
    assert submit(site, next_item(site, links["Ada"]), {"turn": "0", "choice": "left-much"}).status == 303
    open_, seen = [own, f"{own}/history", f"{own}/pause"], dict[str, Answer]()
    while open_:
        target = open_.pop()
        if target in seen:
            continue
        answer = seen[target] = ask(site, target)
        found = re.findall(r'(?:href|src|action|formaction)="([^"#]*)', answer.text)
        found += [answer.headers["location"]] if "location" in answer.headers else []
        open_ += [unescape(one) for one in found if one not in ("", "data:,")]
    assert len(seen) > 4
    for target, answer in seen.items():
        assert target.startswith(f"{own}/") or target == own
        page = unescape(answer.text) + str(answer.headers)
        assert not [one for one in (SECRET, "Quagga", "adjudication", "annotator-", ".sqlite") if one in page], target
        assert not [link for name, link in links.items() if name != "Ada" and token_of(link) in page], target
    items = {target.split("/")[4] for target in seen if target.startswith(f"{own}/item/")}
    assert items == {one.item for one in stored(site)[1] if one.annotator == 1}


def test_there_is_nothing_beside_the_pages(site: Study, links: dict[str, str]) -> None:
    [queue] = [path.name for path in (site.folder / "results" / "exam").iterdir()]
    own = urlsplit(links["Ada"]).path
    for target in (
        *("/", "/a", "/a/", "/owner", "/owner/", "/admin", "/docs", "/openapi.json", "/metrics", "/favicon.ico"),
        *("/robots.txt", "/.env", "/.git/config", "/exam.yaml", "/names.txt", "/prompts.jsonl", "/base.jsonl"),
        *("/results/ledger.sqlite", "/ledger.sqlite", "/results/ledger.sqlite-wal", "/static/annotate.js", "/static/"),
        *(f"/results/exam/{queue}/links.csv", f"/{queue}", f"/queues/{queue}", f"{own}/{queue}", f"{own}/items"),
        *(f"{own}/item", f"{own}/export/verdicts.csv", f"{own}/disputed", f"{own}/owner", f"{own}/annotators"),
    ):
        answer = ask(site, target)
        assert answer.status == 404, target
        assert "There is no such page. Open the link as you were given it." in said(answer)


def test_no_route_knows_another_method(site: Study, links: dict[str, str]) -> None:
    item = stored(site)[1][0].item
    before = stored(site)
    for path, methods in routes(site):
        link = links["owner"] if path.startswith("/owner") else links["Bert"]
        target = path.format(token=token_of(link), item=item, what="verdicts.csv")
        for method in {*METHODS, *({"GET", "POST"} - methods)}:
            assert ask(site, target, method).status == 405, (method, path)
    assert stored(site) == before
