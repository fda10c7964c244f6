"""Who gets nothing from a served queue: a wrong link, a foreign site, another's item, too much at once, too slowly."""

from __future__ import annotations

import base64
import json
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from html import unescape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
from itsdangerous import URLSafeSerializer

from conftest import answers, write_suite
from sciexam.annotate.app import Pages
from sciexam.annotate.desk import Desk
from sciexam.annotate.links import Links
from sciexam.annotate.owner import OwnerPages
from sciexam.annotate.said import LONGEST_TEXT, read_body
from sciexam.store import Store
from sciexam.store.annotators import Annotator
from sciexam.web import guard
from sciexam.web.serving import origin_of
from study import Study

Serve = Callable[..., Study]
Open = Callable[..., Any]

NAMES = ("Ada Zebrowska", "Bert Quagga", "Cleo Okapi", "Dora Numbat")
SECRET = "The comment of Bert, which is for nobody here."
METHODS = ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "LINK")


# ---------------------------------------------------------------- asking


@dataclass
class Answer:
    """What came back, whatever was asked."""

    status: int
    headers: dict[str, str]
    text: str


def ask(served: Study, target: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
    """Ask for a target exactly as it is written; a link is one, too. Header_names are Header-Names."""
    with connected(served) as line:
        more = {"Content-Length": str(len(body))} if body or method == "POST" else {}
        line.sendall(head(served, target, method, **more | headers) + body)
        return received(line)


def head(served: Study, target: str, method: str = "GET", **headers: str) -> bytes:
    given = {"Host": f"127.0.0.1:{served.port}", "Connection": "close"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {target.removeprefix(served.origin)} HTTP/1.1", *(f"{k}: {v}" for k, v in given.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@contextmanager
def connected(served: Study) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", served.port), 60) as line:
        yield line


def received(line: socket.socket) -> Answer:
    """Everything until the server hangs up."""
    got = bytearray()
    with suppress(ConnectionResetError):  # by a server that does not wait for the rest of what it refused
        while piece := line.recv(65536):
            got += piece
    first, _, text = bytes(got).partition(b"\r\n\r\n")
    lines = first.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return Answer(int(lines[0].split()[1]), headers, text.decode())


def submit(served: Study, target: str, form: dict[str, str], **headers: str) -> Answer:
    given = {"Content_Type": "application/x-www-form-urlencoded"} | headers
    return ask(served, target, "POST", urlencode(form).encode(), **given)


def said(answer: Answer) -> str:
    """What a page says in its main part."""
    found = re.search(r"<main.*</main>", answer.text, re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", found[0])).split()) if found else answer.text


def next_item(served: Study, link: str) -> str:
    """The address of what an annotator is to judge."""
    answer = ask(served, link)
    assert answer.status == 303, said(answer)
    return served.origin + answer.headers["location"]


def stored(served: Study) -> tuple[int, list[Any]]:
    """What anybody has written: how many judgements, and everything that was assigned, drafts included."""
    with served.store() as store:
        [queue] = store.annotations.queues()
        return len(store.annotations.judgements(queue)), store.annotations.assignments(queue)


def peak(served: Study) -> int:
    """The most memory that the server ever had, in bytes."""
    assert served.process is not None
    text = Path(f"/proc/{served.process.pid}/status").read_text(encoding="utf-8")
    return int(text.partition("VmHWM:")[2].split()[0]) * 1024


def token_of(link: str) -> str:
    return link.rpartition("/")[2]


def folder_of(path: Path, prompts: int, names: Sequence[str] = NAMES) -> Path:
    path.mkdir(exist_ok=True)
    (path / "names.txt").write_text("\n".join(names), encoding="utf-8")
    texts = {name: [f"{name} says {i}." for i in range(prompts)] for name in ("base", "sft")}
    write_suite(path, prompts, {name: {"responses": answers(path, name, given)} for name, given in texts.items()})
    return path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    """A queue in which nobody judges what another one judges."""
    folder = folder_of(tmp_path_factory.mktemp("served"), 12)
    made = Study(folder, ["--suite", "exam.yaml", "--names", "names.txt", "--overlap", "1"])
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture(scope="module")
def links(served: Study) -> dict[str, str]:
    """The links by first names; the owner's is "owner". Bert has judged something, and wrote a draft to the next."""
    found = {name.split()[0]: served.links[f"annotator-{number}"] for number, name in enumerate(NAMES, 1)}
    item = next_item(served, found["Bert"])
    assert submit(served, item, {"turn": "0", "choice": "left-much", "comment": SECRET}).status == 303
    item = next_item(served, found["Bert"])
    assert submit(served, f"{item}/draft", {"turn": "0", "comment": SECRET}).status == 204
    return found | {"owner": served.links["adjudication"]}


# ---------------------------------------------------------------- links


def test_a_link_that_was_changed_anywhere_opens_nothing(served: Study, links: dict[str, str]) -> None:
    token = token_of(links["Ada"])
    payload, _, signature = token.partition(".")
    other, _, others = token_of(links["Bert"]).partition(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    changed = [token[:i] + ("A" if token[i] != "A" else "B") + token[i + 1 :] for i in range(len(token))]
    changed += [token[:-1] + one for one in alphabet if one != token[-1]]  # some are the same signature in base64
    changed += [token[:i] for i in range(0, len(token), 7)] + [token + one for one in ("=", "A", ".", "%C3%A9", "%0A")]
    changed += [f"{payload}.{others}", f"{other}.{signature}", payload, f"{payload}.", f".{signature}", f".{token}"]
    before = stored(served)
    for one in filter(None, changed):
        for page in ("a", "owner"):
            answer = ask(served, f"/{page}/{one}")
            assert answer.status == 403, one
            assert "This link is not valid. It may have been copied incompletely" in said(answer)
    assert stored(served) == before


def test_a_link_that_somebody_made_up_opens_nothing(served: Study, links: dict[str, str]) -> None:
    claims = _read(token_of(links["owner"]))
    keys = ("", "secret", "sciexam", "sciexam annotate", "0" * 32)
    made = [URLSafeSerializer(key, salt=salt).dumps(claims) for key in keys for salt in ("sciexam annotate", "cookie")]
    plain = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    made += [plain, f"{plain}.", f"{plain}..", "1", "owner", "null", "%00owner", "eyJhbGciOiJub25lIn0.WzEsIiJd."]
    for one in made:
        for page in ("a", "owner"):
            assert ask(served, f"/{page}/{one}").status == 403, one


def test_a_link_of_another_ledger_opens_nothing(served: Study, tmp_path: Path) -> None:
    """The same person, and the same nonce: only the ledger's key is another."""
    with served.store() as store, Store(tmp_path / "other.sqlite") as other:
        people = store.annotators.all()
        own, foreign = ([Links(one).token(person) for person in people] for one in (store, other))
    assert [token_of(link) for link in served.links.values()] == own
    for token in foreign:
        assert ask(served, f"/a/{token}").status == 403
        assert ask(served, f"/owner/{token}").status == 403


def test_a_link_holds_no_name(served: Study) -> None:
    for link, name in zip(served.links.values(), (*NAMES, "owner"), strict=True):
        number, nonce = _read(token_of(link))
        assert isinstance(number, int)
        assert re.fullmatch("[0-9a-f]{32}", nonce)
        address = urlsplit(link).path.removeprefix("/owner/").lower()
        for part in name.lower().split():
            assert len(part) < 5 or part not in address  # shorter ones may come about by chance


def _read(token: str) -> Any:
    """What whoever has a link can read in it."""
    return URLSafeSerializer("").load_payload(token.partition(".")[0].encode())


def test_a_link_expires(served: Study, links: dict[str, str]) -> None:
    """Its time is over when whoever holds it has an item already."""
    item = next_item(served, links["Dora"]).removeprefix(links["Dora"])
    before = stored(served)[0]
    with served.store() as store:
        [dora] = [one for one in store.annotators.all() if one.name == "Dora Numbat"]
        link = f"{served.origin}/a/{Links(store).token(store.annotators.renew(dora.id, int(time.time() * 1000)))}"
    for answer in (ask(served, link), ask(served, link + item), submit(served, link + item, {"turn": "0"})):
        assert answer.status == 403
        assert "This link has expired. Ask whoever sent it to you for a new one." in said(answer)
    assert stored(served)[0] == before
    renewed = served.run("annotate", "link", "Dora Numbat", "--renew", "--port", str(served.port)).stdout.split()[-1]
    assert next_item(served, renewed).startswith(renewed)


def test_a_link_is_ended_and_renewed_while_the_pages_are_served(served: Study, links: dict[str, str]) -> None:
    item = next_item(served, links["Cleo"])
    before = stored(served)[0]
    port = ("--port", str(served.port))
    assert "the link of Cleo Okapi is ended" in served.run("annotate", "link", "Cleo Okapi", "--revoke", *port).stderr
    for answer in (
        ask(served, links["Cleo"]),
        ask(served, item),
        ask(served, links["Cleo"] + "/history"),
        submit(served, item, {"turn": "0", "choice": "left-much"}),
        submit(served, item + "/draft", {"turn": "0", "comment": "still here"}),
        submit(served, links["Cleo"] + "/undo", {}),
    ):
        assert answer.status == 403
        assert "This link was ended. Ask whoever sent it to you for a new one." in said(answer)
    count, assigned = stored(served)
    assert count == before
    assert not any(one.draft for one in assigned if item.endswith(one.item))
    renewed = served.run("annotate", "link", "Cleo Okapi", "--renew", *port).stdout.split()[-1]
    assert renewed != links["Cleo"]
    assert ask(served, links["Cleo"]).status == 403
    assert ask(served, item).status == 403
    assert submit(served, next_item(served, renewed), {"turn": "0", "choice": "left-much"}).status == 303


# ---------------------------------------------------------------- every route, every role


def routes(served: Study) -> list[tuple[str, frozenset[str]]]:
    """Every route that is served, and its methods, as the application itself has them."""
    with served.store() as store:
        queue, _, _ = served.kept()
        signed = Links(store)
        guarded = Pages(Desk(store, queue), signed).app([], OwnerPages(store, queue, signed).routes())
        found: dict[str, set[str]] = {}
        for route in guarded._app.routes:  # type: ignore[attr-defined]
            found.setdefault(route.path, set()).update(route.methods)
    return [(path, frozenset(methods)) for path, methods in found.items()]


def test_no_route_answers_anybody_but_who_it_is_for(served: Study, links: dict[str, str]) -> None:
    """Each route, with each link, for what Bert judged, and for what Bert is about to judge."""
    judged, begun = (one for one in stored(served)[1] if one.annotator == 2)
    before = stored(served)
    with served.store() as store:
        forged = Links(store).token(Annotator(99, "annotator-99", None, "0" * 32, 2**62, "open"))
    holders = {"nobody": forged, "ada": token_of(links["Ada"]), "owner": token_of(links["owner"])}
    form = {"turn": "0", "choice": "right-much", "comment": "mine now", "last": f"{judged.item}.0"}
    everything = routes(served)
    assert len(everything) >= 11
    for path, methods in everything:
        for who, token in holders.items():
            for item in (judged.item, begun.item):
                target = path.format(token=token, item=item, what="verdicts.csv")
                if "GET" in methods:
                    _nothing_of_bert(ask(served, target), who, path)
                if "POST" in methods and not (who == "owner" and path.startswith("/owner")):
                    _nothing_of_bert(submit(served, target, form), who, path)
    count, assigned = stored(served)
    assert count == before[0]
    assert [one for one in assigned if one.annotator == 2] == [one for one in before[1] if one.annotator == 2]


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


def test_who_follows_every_link_finds_only_their_own_pages(served: Study, links: dict[str, str]) -> None:
    own = urlsplit(links["Ada"]).path
    assert submit(served, next_item(served, links["Ada"]), {"turn": "0", "choice": "left-much"}).status == 303
    open_, seen = [own, f"{own}/history", f"{own}/pause"], dict[str, Answer]()
    while open_:
        target = open_.pop()
        if target in seen:
            continue
        answer = seen[target] = ask(served, target)
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
    assert items == {one.item for one in stored(served)[1] if one.annotator == 1}


def test_there_is_nothing_beside_the_pages(served: Study, links: dict[str, str]) -> None:
    [queue] = [path.name for path in (served.folder / "results" / "exam").iterdir()]
    own = urlsplit(links["Ada"]).path
    for target in (
        *("/", "/a", "/a/", "/owner", "/owner/", "/admin", "/docs", "/openapi.json", "/metrics", "/favicon.ico"),
        *("/robots.txt", "/.env", "/.git/config", "/exam.yaml", "/names.txt", "/prompts.jsonl", "/base.jsonl"),
        *("/results/ledger.sqlite", "/ledger.sqlite", "/results/ledger.sqlite-wal", "/static/annotate.js", "/static/"),
        *(f"/results/exam/{queue}/links.csv", f"/{queue}", f"/queues/{queue}", f"{own}/{queue}", f"{own}/items"),
        *(f"{own}/item", f"{own}/export/verdicts.csv", f"{own}/disputed", f"{own}/owner", f"{own}/annotators"),
    ):
        answer = ask(served, target)
        assert answer.status == 404, target
        assert "There is no such page. Open the link as you were given it." in said(answer)


PATHS = (
    *("..", "../..", "../../results/ledger.sqlite", "..%2f..%2fresults%2fledger.sqlite", "%2e%2e", "%2e%2e%2f%2e%2e"),
    *("..%5c..%5cnames.txt", "....//....//names.txt", "%252e%252e%252fnames.txt", "..;/names.txt", "%c0%ae%c0%ae/"),
    *("%00", "x%00.csv", "verdicts.csv%00", "/etc/passwd", "%2fetc%2fpasswd", "//etc/passwd", "file:///etc/passwd"),
    *("%", "%zz", "%ff%fe", "%F0%9F%A6%93", "%0d%0aX-Injected:%201", "verdicts.csv/../verdicts.csv", "*", "~", "-1"),
    *("verdicts", "verdicts.", ".csv", "verdicts.py", "verdicts.csv.csv", "Verdicts.csv", "all.csv", "a" * 20_000),
    *("{0}", "{{7*7}}", "%7B%7B7*7%7D%7D", "' OR '1'='1", '";--', "<script>", "results/ledger.sqlite", "links.csv"),
)


def test_no_path_leads_out_of_the_pages(served: Study, links: dict[str, str]) -> None:
    """In the place of a link, of an item, of a download and of the whole address; as an annotator and as the owner."""
    own, owner = urlsplit(links["Ada"]).path, urlsplit(links["owner"]).path
    before = stored(served)
    for path in (one.replace(" ", "%20").replace('"', "%22") for one in PATHS):
        for place in ("/{0}", "/a/{0}", "/owner/{0}", f"{own}/item/{{0}}", f"{owner}/export/{{0}}", f"{owner}/{{0}}"):
            target = place.replace("{0}", path)
            answer = ask(served, target)
            assert answer.status in (307, 400, 403, 404), target
            assert answer.headers.get("location", served.origin).startswith(served.origin), target
            for leak in ("SQLite format", "root:", "Quagga", "Traceback", "X-Injected: 1", '"responses"', SECRET):
                assert leak not in answer.text
                assert leak not in str(answer.headers)
        for place in (f"{own}/item/{path}", f"{own}/item/{path}/draft", f"{owner}/disputed/{path}"):
            answer = submit(served, place, {"turn": "0", "choice": "left-much"})
            assert answer.status in (307, 400, 404, 405), place
    assert stored(served) == before


def test_a_nul_or_a_space_in_an_address_is_no_request(served: Study, links: dict[str, str]) -> None:
    own = urlsplit(links["Ada"]).path
    for target in (f"{own}/item/\0", f"{own}\0", "/\x00", f"{own} {own}", f"{own}/\x7f", f"{own}/\xff"):
        assert ask(served, target).status == 400


def test_no_route_knows_another_method(served: Study, links: dict[str, str]) -> None:
    item = stored(served)[1][0].item
    before = stored(served)
    for path, methods in routes(served):
        link = links["owner"] if path.startswith("/owner") else links["Bert"]
        target = path.format(token=token_of(link), item=item, what="verdicts.csv")
        for method in {*METHODS, *({"GET", "POST"} - methods)}:
            assert ask(served, target, method).status == 405, (method, path)
    assert stored(served) == before


# ---------------------------------------------------------------- another site's page


FOREIGN = (
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": ""}, 403),
    ({"Origin": "http://127.0.0.1"}, 403),
    ({"Origin": "http://127.0.0.1:{wrong}"}, 403),
    ({"Origin": "https://127.0.0.1:{port}"}, 403),
    ({"Origin": "http://127.0.0.1:{port}.evil.example"}, 403),
    ({"Origin": "http://127.0.0.1:{port}@evil.example"}, 403),
    ({"Origin": "http://127.0.0.1:{port}", "Sec_Fetch_Site": "cross-site"}, 403),
    ({"Sec_Fetch_Site": "cross-site"}, 403),
    ({"Sec_Fetch_Site": "same-site"}, 403),
    ({"Host": "evil.example"}, 400),
    ({"Host": "evil.example:{port}"}, 400),
    ({"Host": "evil.example:{port}", "Origin": "http://evil.example:{port}"}, 400),
    ({"Host": "127.0.0.1"}, 400),
    ({"Host": "127.0.0.1:{wrong}"}, 400),
    ({"Host": "127.0.0.1:{port}.evil.example"}, 400),
    ({"Host": "evil.example", "X_Forwarded_Host": "127.0.0.1:{port}"}, 400),
    ({"Host": ""}, 400),
)


def test_a_post_of_another_sites_page_changes_nothing(served: Study, links: dict[str, str]) -> None:
    item = next_item(served, links["Ada"])
    form = {"turn": "0", "choice": "left-much", "comment": "not Ada"}
    before = stored(served)
    for headers, status in FOREIGN:
        given = {name: text.format(port=served.port, wrong=served.port + 1) for name, text in headers.items()}
        for target in (item, f"{item}/draft", f"{links['Ada']}/undo", f"{links['Ada']}/pause", links["owner"]):
            answer = submit(served, target, form, **given)
            assert answer.status == status, (given, said(answer))
            assert answer.text == (
                "This address is not served here. Open the link exactly as you were given it."
                if status == 400
                else "This came from another site's page, so nothing was changed."
            )
        if status == 400:  # no page is read under another name either: that is what DNS rebinding is for
            assert ask(served, item, **given).status == 400
            assert ask(served, item, "HEAD", **given).status == 400
    assert stored(served) == before
    own = {"Origin": served.origin, "Sec_Fetch_Site": "same-origin"}
    assert submit(served, item, form, **own).status == 303
    assert stored(served)[0] == before[0] + 1


def test_a_request_for_two_hosts_or_for_none_is_refused(served: Study, links: dict[str, str]) -> None:
    own = f"Host: 127.0.0.1:{served.port}\r\n"
    for hosts in ("", f"{own}Host: evil.example\r\n", f"Host: evil.example\r\n{own}"):
        with connected(served) as line:
            line.sendall(f"GET {urlsplit(links['Ada']).path} HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n".encode())
            assert received(line).status == 400
    with connected(served) as line:
        line.sendall(f"GET {urlsplit(links['Ada']).path} HTTP/1.0\r\n\r\n".encode())
        assert received(line).status == 400


def test_what_is_no_form_of_ours_is_not_kept(served: Study, links: dict[str, str]) -> None:
    item = next_item(served, links["Ada"])
    before = stored(served)
    boundary = b'--x\r\nContent-Disposition: form-data; name="choice"\r\n\r\nleft-much\r\n--x--\r\n'
    for body, kind in (
        (b'{"turn": "0", "choice": "left-much"}', "application/json"),
        (boundary, "multipart/form-data; boundary=x"),
        (b"turn=0\nchoice=left-much", "text/plain"),
        (b"\x00\xff\xfe" * 1000, "application/octet-stream"),
        (b"", "application/x-www-form-urlencoded"),
        (b"turn=0&choice=", "application/x-www-form-urlencoded"),
        (b"turn=0&choice=withdrawn", "application/x-www-form-urlencoded"),
        (b"turn=0&choice=left-much%00", "application/x-www-form-urlencoded"),
        (b"turn=0&choice=%ed%a0%80", "application/x-www-form-urlencoded"),
    ):
        answer = ask(served, item, "POST", body, Content_Type=kind)
        assert answer.status == 422, kind
        assert "No answer was chosen. Press one of the buttons." in said(answer)
    assert stored(served) == before


def test_a_turn_that_nobody_was_shown_is_not_kept(served: Study, links: dict[str, str]) -> None:
    item = next_item(served, links["Ada"])
    before = stored(served)
    for turn in ("", "-1", "1", "7", "9" * 30, "9" * 5000, "0x0", "٣", "1e3", "\0"):
        answer = submit(served, item, {"turn": turn, "choice": "left-much"})
        assert answer.status in (409, 422), turn[:20]
    assert stored(served) == before


def test_every_answer_tells_the_browser_to_be_careful(served: Study, links: dict[str, str]) -> None:
    item = next_item(served, links["Ada"])
    owner = links["owner"]
    for status, answer in (
        (200, ask(served, item)),
        (200, ask(served, f"{links['Ada']}/history")),
        (200, ask(served, owner)),
        (200, ask(served, f"{owner}/disputed")),
        (200, ask(served, f"{owner}/export/verdicts.csv")),
        (303, ask(served, links["Ada"])),
        (403, ask(served, "/a/x")),
        (404, ask(served, "/x")),
        (405, ask(served, item, "PUT")),
        (422, submit(served, item, {})),
        (403, submit(served, item, {}, Origin="null")),
        (400, ask(served, item, Host="evil.example")),
    ):
        assert answer.status == status
        for name, value in guard.HEADERS.items():
            assert answer.headers[name] == value, (status, name)
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert not {"set-cookie", "server", "x-powered-by", "access-control-allow-origin"} & answer.headers.keys()
        if "html" in answer.headers.get("content-type", ""):
            policy = {
                rule.split()[0]: rule.split()[1:] for rule in answer.headers["content-security-policy"].split(";")
            }
            for rule in ("default-src", "frame-ancestors", "base-uri"):
                assert policy[rule] == ["'none'"]
            assert policy["form-action"] == ["'self'"]
            assert not [one for rule in policy.values() for one in rule if "unsafe" in one or "*" in one or "//" in one]


ATTACK = """<!doctype html><title>evil</title>
<form id="f" method="post" action="{item}" enctype="{kind}" {target}>
<input name="turn" value="0"><input name="choice" value="left-much"><input name="comment" value="pwned"></form>
<iframe name="hidden"></iframe>
<script>
const body = new URLSearchParams({{turn: "0", choice: "left-much", comment: "pwned"}});
addEventListener("load", async () => {{
  navigator.sendBeacon("{item}/draft", body);
  await fetch("{item}", {{method: "POST", mode: "no-cors", body}}).catch(() => 0);
  await fetch("{item}", {{method: "POST", headers: {{"X-Sciexam": "1"}}, body}}).catch(() => 0);
  document.getElementById("f").submit();
}});
</script>"""


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A folder that another server shows, and its port."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    folder = tmp_path / "elsewhere"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_page_of_another_site_cannot_judge_in_somebodys_browser(
    served: Study, links: dict[str, str], elsewhere: tuple[Path, int], opened: Open
) -> None:
    """The other page stands under another name (cross-site), and at another port of this one (same-site)."""
    folder, port = elsewhere
    item = next_item(served, links["Ada"])
    before = stored(served)
    for number, host in enumerate(("localhost", "127.0.0.1")):
        kind = ("application/x-www-form-urlencoded", "text/plain")[number]
        (folder / f"{number}.html").write_text(ATTACK.format(item=item, kind=kind, target=""), encoding="utf-8")
        page = opened(f"http://{host}:{port}/{number}.html")
        page.wait_for_url(item)
        assert page.inner_text("body") == "This came from another site's page, so nothing was changed."
    assert stored(served) == before


def test_no_page_can_be_put_into_another_sites_frame(
    served: Study, links: dict[str, str], elsewhere: tuple[Path, int], opened: Open
) -> None:
    folder, port = elsewhere
    item = next_item(served, links["Ada"])
    shown = [item, f"{links['Ada']}/history", links["owner"], f"{served.origin}/a/x"]
    frames = "".join(f'<iframe src="{url}"></iframe>' for url in shown)
    (folder / "frames.html").write_text(f"<!doctype html>{frames}<iframe src='own.html'></iframe>", encoding="utf-8")
    (folder / "own.html").write_text("the other site's own", encoding="utf-8")
    for host in ("localhost", "127.0.0.1"):
        page = opened(f"http://{host}:{port}/frames.html")
        *ours, own = page.frames[1:]
        assert own.inner_text("body") == "the other site's own"  # frames can be shown at all
        assert [frame.evaluate("document.querySelectorAll('main, form, h1.unseen').length") for frame in ours] == [
            0
        ] * 4
        assert not [frame.url for frame in ours if frame.url.startswith(served.origin)]


# ---------------------------------------------------------------- too much, too slowly


def test_a_gigabyte_is_refused_before_it_is_sent(served: Study, links: dict[str, str]) -> None:
    item = next_item(served, links["Ada"])
    for target in (item, f"{item}/draft", links["owner"] + "/disputed/x", "/a/x", "/"):
        for length in (str(10**9), str(guard.LARGEST + 1), "9" * 20):
            with connected(served) as line:
                line.sendall(head(served, target, "POST", Content_Length=length, Expect="100-continue"))
                answer = received(line)
            assert answer.status == 413
            assert answer.text == "This is more than 1.5 MB at once. Nothing was changed."
    for length in ("-1", "1,5", "0x10", "9" * 5000, ""):
        with connected(served) as line:
            line.sendall(head(served, item, "POST", Content_Length=length))
            assert received(line).status == 400


def test_a_stream_without_end_is_refused_early_and_takes_no_memory(served: Study, links: dict[str, str]) -> None:
    item = next_item(served, links["Ada"])
    ask(served, item)
    before, kept = peak(served), stored(served)
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    for target in (item, "/nowhere"):
        with connected(served) as line:
            line.sendall(head(served, target, "POST", Transfer_Encoding="chunked"))
            sent = 0
            with suppress(ConnectionResetError, BrokenPipeError):
                while sent < 10**9 and not select.select([line], [], [], 0)[0]:
                    sent += line.send(piece)
            assert received(line).status == 413
        assert sent < 50e6, "the refusal came early, as far as the buffers of the system let one see"
    assert peak(served) - before < 50e6
    assert stored(served) == kept


def test_a_body_that_nobody_asked_for_is_not_kept_in_memory(served: Study, links: dict[str, str]) -> None:
    before = peak(served)
    with connected(served) as line:
        line.sendall(head(served, links["Ada"] + "/history", Content_Length=str(10**9)))
        with suppress(ConnectionResetError, BrokenPipeError):
            for _ in range(1000):
                line.sendall(b"x" * 65536)
        assert received(line).status == 200
    assert peak(served) - before < 50e6


def test_a_form_of_ten_thousand_fields_is_refused(served: Study, links: dict[str, str]) -> None:
    item = next_item(served, links["Ada"])
    kept = stored(served)
    many = urlencode([("turn", "0"), ("choice", "left-much"), *((f"field-{i}", "") for i in range(10_000))]).encode()
    for body in (many, b"turn=0&choice=left-much" + b"&comment=x" * 10_000, b"&" * 10_000 + b"turn=0&choice=left-much"):
        for target in (item, f"{item}/draft", links["Ada"] + "/undo"):
            answer = ask(served, target, "POST", body)
            assert answer.status == 413
            assert "This form has more fields than any of ours. Nothing was changed." in said(answer)
    assert stored(served) == kept


def test_the_longest_text_of_any_script_fits_into_a_post(study: Serve) -> None:
    served = study("base", "--task", "demonstrations", "--annotators", "1", prompts=2)
    link = served.links["annotator-1"]
    for letter in ("🦓", "界"):
        text = letter * LONGEST_TEXT
        form = {"turn": "0", "choice": "edit", "text": text, "comment": letter * 4_000}
        assert submit(served, next_item(served, link), form).status == 303
        assert read_body("edit", served.kept()[1][-1].body).text == text


def test_a_post_that_was_cut_off_is_not_kept(served: Study, links: dict[str, str]) -> None:
    """What has arrived would be a whole form by itself."""
    item = next_item(served, links["Ada"])
    kept = stored(served)
    for headers, body in (
        ({"Content_Length": "100"}, b"turn=0&choice=left-much&comment=cut"),
        ({"Transfer_Encoding": "chunked"}, b"17\r\nturn=0&choice=left-much\r\n"),
    ):
        with connected(served) as line:
            line.sendall(head(served, item, "POST", **headers) + body)
            line.shutdown(socket.SHUT_WR)
            assert line.recv(1) == b""
    assert ask(served, item).status == 200
    assert stored(served) == kept


def test_who_does_not_finish_holds_nobody_up(served: Study, links: dict[str, str]) -> None:
    """A hundred that never finish their headers, a hundred that never finish their post; everybody else is served."""
    item = next_item(served, links["Ada"])
    kept = stored(served)[0]
    waiting = [socket.create_connection(("127.0.0.1", served.port), 60) for _ in range(200)]
    try:
        for line in waiting[::2]:
            line.sendall(f"GET {urlsplit(item).path} HTTP/1.1\r\nHost: 127".encode())
        for line in waiting[1::2]:
            line.sendall(head(served, item, "POST", Content_Length="1000") + b"turn=0&choice=left-much&comment=")
        assert ask(served, item).status == 200
        assert submit(served, item, {"turn": "0", "choice": "left-much"}).status == 303
        assert not select.select(waiting, [], [], 0)[0], "those who wait have not been answered meanwhile"
    finally:
        for line in waiting:
            line.close()
    assert stored(served)[0] == kept + 1


def test_a_huge_header_is_refused(served: Study, links: dict[str, str]) -> None:
    item = next_item(served, links["Ada"])
    before = peak(served)
    for huge in (
        head(served, item, X_Big="x" * 1_000_000),
        head(served, item, Cookie="a=b; " * 200_000),
        head(served, item, **{f"X_{i}": "x" for i in range(100_000)}),
        head(served, f"{item}?{'x' * 1_000_000}"),
    ):
        with connected(served) as line:
            with suppress(ConnectionResetError, BrokenPipeError):
                line.sendall(huge)
            assert received(line).status == 400
    with connected(served) as line:  # a header that does not end
        line.sendall(head(served, item)[:-4] + b"\r\nX-Endless: ")
        with suppress(ConnectionResetError, BrokenPipeError):
            for _ in range(1000):
                if select.select([line], [], [], 0)[0]:
                    break
                line.sendall(b"x" * 65536)
        assert received(line).status == 400
    assert ask(served, item).status == 200
    assert peak(served) - before < 50e6


@pytest.mark.slow
def test_who_drips_is_told_to_hurry_while_others_are_served(served: Study, links: dict[str, str]) -> None:
    """One byte a second, of a form that is complete from the start but for its comment."""
    item = next_item(served, links["Ada"])
    targets = (item, f"{item}/draft", links["owner"] + "/disputed/x")
    kept = stored(served)
    dripping = [socket.create_connection(("127.0.0.1", served.port), 60) for _ in targets]
    try:
        for line, target in zip(dripping, targets, strict=True):
            line.sendall(head(served, target, "POST", Content_Length="1000") + b"turn=0&choice=left-much&comment=")
        drops = 0
        while not select.select(dripping, [], [], 1)[0]:
            drops += 1
            assert drops < 2 * guard.SECONDS, "nobody hangs up"
            for line in dripping:
                line.sendall(b"x")
            assert ask(served, item).status == 200
        assert drops > guard.SECONDS / 2, "who is slow is given some time"
        for line in dripping:
            answer = received(line)
            assert answer.status == 408
            assert answer.text == "This took too long to arrive. Nothing was changed; send it once more."
    finally:
        for line in dripping:
            line.close()
    assert stored(served) == kept


@pytest.mark.slow
def test_who_connects_and_does_not_ask_is_hung_up_on(served: Study, links: dict[str, str]) -> None:
    """One says nothing, one drips its headers, and one has been served before."""
    waiting = [socket.create_connection(("127.0.0.1", served.port), 60) for _ in range(3)]
    _, dripping, again = waiting
    try:
        again.sendall(head(served, "/", Connection="keep-alive"))
        time.sleep(0.5)
        again.recv(1_000_000)
        asking = head(served, links["Ada"])
        for number in range(int(2 * guard.SECONDS)):
            for line in (dripping, again):
                with suppress(OSError):
                    line.sendall(asking[number : number + 1])
            time.sleep(1)
        for line in waiting:
            line.settimeout(1)
            with suppress(ConnectionResetError):
                assert line.recv(1) == b""
    finally:
        for line in waiting:
            line.close()


# ---------------------------------------------------------------- another address


def test_a_public_address_is_the_only_other_one(study: Serve) -> None:
    served = study("--annotators", "1", "--public-url", "https://annotate.example.org", prompts=2)
    path = urlsplit(served.links["annotator-1"]).path
    assert served.links["annotator-1"] == f"https://annotate.example.org{path}"
    outside = {"Host": "annotate.example.org"}
    location = ask(served, path, **outside).headers["location"]
    form = {"turn": "0", "choice": "left-much"}
    for origin in ("http://annotate.example.org", "https://annotate.example.org:444", "https://example.org", "null"):
        assert submit(served, location, form, **outside, Origin=origin).status == 403
    for host in (
        "example.org",
        "evil.annotate.example.org",
        "annotate.example.org.evil.example",
        "annotate.example.or",
    ):
        assert ask(served, path, Host=host).status == 400
    assert stored(served)[0] == 0
    assert submit(served, location, form, **outside, Origin="https://annotate.example.org").status == 303
    assert quote(location) == location


def test_other_machines_are_let_in_by_name_only(study: Serve, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 2)
    refused = Study(folder, []).run("annotate", "serve", "--suite", "exam.yaml", "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 2
    assert "--host 0.0.0.0 serves other machines; say under which address they reach it" in refused.stderr


@pytest.mark.parametrize("typed", ["https://Annotate.Example.ORG", "https://annotate.example.org:443"])
def test_a_public_address_is_known_as_browsers_write_it(typed: str) -> None:
    assert origin_of("127.0.0.1", 8400, typed) == "https://annotate.example.org"
    assert (
        origin_of("127.0.0.1", 8400, typed.replace("https", "http").replace("443", "80"))
        == "http://annotate.example.org"
    )
