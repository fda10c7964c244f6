"""A queue of four annotators that is served, and what asks it byte by byte as no browser would."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from itsdangerous import URLSafeSerializer

from conftest import answers, write_suite
from forked import Commands
from sciexam.annotate.app import Pages
from sciexam.annotate.desk import Desk
from sciexam.annotate.links import Links
from sciexam.annotate.owner import OwnerPages
from sciexam.typed import Command
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
def site(tmp_path_factory: pytest.TempPathFactory, commands: Commands) -> Iterator[Study]:
    """A queue in which nobody judges what another one judges."""
    folder = folder_of(tmp_path_factory.mktemp("served"), 12)
    made = Study(folder, ["--suite", "exam.yaml", "--names", "names.txt", "--overlap", "1"], commands=commands)
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture(scope="module")
def links(site: Study) -> dict[str, str]:
    """The links by first names; the owner's is "owner". Bert has judged something, and wrote a draft to the next."""
    found = {name.split()[0]: site.links[f"annotator-{number}"] for number, name in enumerate(NAMES, 1)}
    item = next_item(site, found["Bert"])
    assert submit(site, item, {"turn": "0", "choice": "left-much", "comment": SECRET}).status == 303
    item = next_item(site, found["Bert"])
    assert submit(site, f"{item}/draft", {"turn": "0", "comment": SECRET}).status == 204
    return found | {"owner": site.links["adjudication"]}


def routes(served: Study) -> list[tuple[str, frozenset[str]]]:
    """Every route that is served, and its methods, as the application itself has them."""
    with served.store() as store:
        queue, _, _ = served.kept()
        signed = Links(store)
        pages = OwnerPages(store, queue, signed, Command(("base", "sft"), {}))
        guarded = Pages(Desk(store, queue), signed).app([], pages.routes())
        found: dict[str, set[str]] = {}
        for route in guarded._app.routes:  # type: ignore[attr-defined]
            found.setdefault(route.path, set()).update(route.methods)
    return [(path, frozenset(methods)) for path, methods in found.items()]


def read_claims(token: str) -> Any:
    """What whoever has a link can read in it."""
    return URLSafeSerializer("").load_payload(token.partition(".")[0].encode())
