"""A gigabyte, ten thousand fields, endless streams, huge headers and clients that never finish."""

from __future__ import annotations

import select
import socket
import time
from contextlib import suppress
from urllib.parse import urlencode, urlsplit

import pytest

from asked import (
    Serve,
    ask,
    connected,
    head,
    next_item,
    peak,
    received,
    said,
    stored,
    submit,
)
from sciexam.annotate.said import LONGEST_TEXT, read_body
from sciexam.web import guard
from study import Study


def test_a_gigabyte_is_refused_before_it_is_sent(site: Study, links: dict[str, str]) -> None:
    item = next_item(site, links["Ada"])
    for target in (item, f"{item}/draft", links["owner"] + "/disputed/x", "/a/x", "/"):
        for length in (str(10**9), str(guard.LARGEST + 1), "9" * 20):
            with connected(site) as line:
                line.sendall(head(site, target, "POST", Content_Length=length, Expect="100-continue"))
                answer = received(line)
            assert answer.status == 413
            assert answer.text == "This is more than 1.5 MB at once. Nothing was changed."
    for length in ("-1", "1,5", "0x10", "9" * 5000, ""):
        with connected(site) as line:
            line.sendall(head(site, item, "POST", Content_Length=length))
            assert received(line).status == 400


def test_a_stream_without_end_is_refused_early_and_takes_no_memory(site: Study, links: dict[str, str]) -> None:
    item = next_item(site, links["Ada"])
    ask(site, item)
    before, kept = peak(site), stored(site)
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    for target in (item, "/nowhere"):
        with connected(site) as line:
            line.sendall(head(site, target, "POST", Transfer_Encoding="chunked"))
            sent = 0
            with suppress(ConnectionResetError, BrokenPipeError):
                while sent < 10**9 and not select.select([line], [], [], 0)[0]:
                    sent += line.send(piece)
            assert received(line).status == 413
        assert sent < 50e6, "the refusal came early, as far as the buffers of the system let one see"
    assert peak(site) - before < 50e6
    assert stored(site) == kept


def test_a_body_that_nobody_asked_for_is_not_kept_in_memory(site: Study, links: dict[str, str]) -> None:
    before = peak(site)
    with connected(site) as line:
        line.sendall(head(site, links["Ada"] + "/history", Content_Length=str(10**9)))
        with suppress(ConnectionResetError, BrokenPipeError):
            for _ in range(1000):
                line.sendall(b"x" * 65536)
        assert received(line).status == 200
    assert peak(site) - before < 50e6


def test_a_form_of_ten_thousand_fields_is_refused(site: Study, links: dict[str, str]) -> None:
    item = next_item(site, links["Ada"])
    kept = stored(site)
    many = urlencode([("turn", "0"), ("choice", "left-much"), *((f"field-{i}", "") for i in range(10_000))]).encode()
    for body in (many, b"turn=0&choice=left-much" + b"&comment=x" * 10_000, b"&" * 10_000 + b"turn=0&choice=left-much"):
        for target in (item, f"{item}/draft", links["Ada"] + "/undo"):
            answer = ask(site, target, "POST", body)
            assert answer.status == 413
            assert "This form has more fields than any of ours. Nothing was changed." in said(answer)
    assert stored(site) == kept


def test_the_longest_text_of_any_script_fits_into_a_post(study: Serve) -> None:
    site = study("base", "--task", "demonstrations", "--annotators", "1", prompts=2)
    link = site.links["annotator-1"]
    for letter in ("🦓", "界"):
        text = letter * LONGEST_TEXT
        form = {"turn": "0", "choice": "edit", "text": text, "comment": letter * 4_000}
        assert submit(site, next_item(site, link), form).status == 303
        assert read_body("edit", site.kept()[1][-1].body).text == text


def test_a_post_that_was_cut_off_is_not_kept(site: Study, links: dict[str, str]) -> None:
    """What has arrived would be a whole form by itself."""
    item = next_item(site, links["Ada"])
    kept = stored(site)
    for headers, body in (
        ({"Content_Length": "100"}, b"turn=0&choice=left-much&comment=cut"),
        ({"Transfer_Encoding": "chunked"}, b"17\r\nturn=0&choice=left-much\r\n"),
    ):
        with connected(site) as line:
            line.sendall(head(site, item, "POST", **headers) + body)
            line.shutdown(socket.SHUT_WR)
            assert line.recv(1) == b""
    assert ask(site, item).status == 200
    assert stored(site) == kept


def test_who_does_not_finish_holds_nobody_up(site: Study, links: dict[str, str]) -> None:
    """A hundred that never finish their headers, a hundred that never finish their post; everybody else is site."""
    item = next_item(site, links["Ada"])
    kept = stored(site)[0]
    waiting = [socket.create_connection(("127.0.0.1", site.port), 60) for _ in range(200)]
    try:
        for line in waiting[::2]:
            line.sendall(f"GET {urlsplit(item).path} HTTP/1.1\r\nHost: 127".encode())
        for line in waiting[1::2]:
            line.sendall(head(site, item, "POST", Content_Length="1000") + b"turn=0&choice=left-much&comment=")
        assert ask(site, item).status == 200
        assert submit(site, item, {"turn": "0", "choice": "left-much"}).status == 303
        assert not select.select(waiting, [], [], 0)[0], "those who wait have not been answered meanwhile"
    finally:
        for line in waiting:
            line.close()
    assert stored(site)[0] == kept + 1


def test_a_huge_header_is_refused(site: Study, links: dict[str, str]) -> None:
    item = next_item(site, links["Ada"])
    before = peak(site)
    for huge in (
        head(site, item, X_Big="x" * 1_000_000),
        head(site, item, Cookie="a=b; " * 200_000),
        head(site, item, **{f"X_{i}": "x" for i in range(100_000)}),
        head(site, f"{item}?{'x' * 1_000_000}"),
    ):
        with connected(site) as line:
            with suppress(ConnectionResetError, BrokenPipeError):
                line.sendall(huge)
            assert received(line).status == 400
    with connected(site) as line:  # a header that does not end
        line.sendall(head(site, item)[:-4] + b"\r\nX-Endless: ")
        with suppress(ConnectionResetError, BrokenPipeError):
            for _ in range(1000):
                if select.select([line], [], [], 0)[0]:
                    break
                line.sendall(b"x" * 65536)
        assert received(line).status == 400
    assert ask(site, item).status == 200
    assert peak(site) - before < 50e6


@pytest.mark.slow
def test_who_drips_is_told_to_hurry_while_others_are_served(site: Study, links: dict[str, str]) -> None:
    """One byte a second, of a form that is complete from the start but for its comment."""
    item = next_item(site, links["Ada"])
    targets = (item, f"{item}/draft", links["owner"] + "/disputed/x")
    kept = stored(site)
    dripping = [socket.create_connection(("127.0.0.1", site.port), 60) for _ in targets]
    try:
        for line, target in zip(dripping, targets, strict=True):
            line.sendall(head(site, target, "POST", Content_Length="1000") + b"turn=0&choice=left-much&comment=")
        drops = 0
        while not select.select(dripping, [], [], 1)[0]:
            drops += 1
            assert drops < 2 * guard.SECONDS, "nobody hangs up"
            for line in dripping:
                line.sendall(b"x")
            assert ask(site, item).status == 200
        assert drops > guard.SECONDS / 2, "who is slow is given some time"
        for line in dripping:
            answer = received(line)
            assert answer.status == 408
            assert answer.text == "This took too long to arrive. Nothing was changed; send it once more."
    finally:
        for line in dripping:
            line.close()
    assert stored(site) == kept


@pytest.mark.slow
def test_who_connects_and_does_not_ask_is_hung_up_on(site: Study, links: dict[str, str]) -> None:
    """One says nothing, one drips its headers, and one has been served before."""
    waiting = [socket.create_connection(("127.0.0.1", site.port), 60) for _ in range(3)]
    _, dripping, again = waiting
    try:
        again.sendall(head(site, "/", Connection="keep-alive"))
        time.sleep(0.5)
        again.recv(1_000_000)
        asking = head(site, links["Ada"])
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
