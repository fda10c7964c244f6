"""The network drops while a judgement is sent, and the server is killed between a judgement and its reply."""

from __future__ import annotations

import random
import socket
import time
from contextlib import suppress
from urllib.parse import urlencode, urlsplit

import httpx2
import pytest

from clicker import turn_of
from newcomers import Newcomer, Open, Person, Serve, go, item_of, until
from rows import Tally
from wire import Wire


@pytest.mark.slow
def test_a_judgement_waits_for_the_network_and_is_saved_by_itself(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    page = opened(me.link)
    first, asked = item_of(page), []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.context.set_offline(True)
    page.keyboard.press("4")
    page.get_by_role("status").filter(has_text="Not saved yet").wait_for()
    assert page.locator("#status").get_attribute("aria-live") == "polite"
    chosen = page.locator("[data-chosen]")
    assert (chosen.get_attribute("value"), chosen.get_attribute("aria-pressed")) == ("right-much", "true")
    page.keyboard.press("1")
    page.keyboard.press("h")
    until(page, lambda: asked == ["beforeunload"])
    assert item_of(page) == first
    assert me.did() == []
    go(page, lambda: page.context.set_offline(False))
    assert me.did() == [(first, "right-much")]


@pytest.mark.slow
def test_a_link_that_is_followed_without_a_network_loses_nothing(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    page = opened(me.link)
    first = page.url
    page.context.set_offline(True)
    page.keyboard.press("h")
    until(page, lambda: page.url.startswith("chrome-error:"))
    page.context.set_offline(False)
    page.go_back()
    assert page.url == first
    go(page, lambda: page.keyboard.press("1"))
    assert me.did() == [(first.rpartition("/")[2], "left-much")]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["request", "reply", "half"])
def test_a_connection_that_is_cut_costs_nothing(pairs: Newcomer, opened: Open, wire: Wire, fault: str) -> None:
    """Before the server has the judgement, after it, and in the middle of the reply."""
    me = pairs()
    page = opened(me.link, **wire.options)
    first, wire.fault = item_of(page), fault
    page.keyboard.press("1")
    page.get_by_text("Not saved yet").wait_for()
    assert me.did() == ([] if fault == "request" else [(first, "left-much")])
    wire.fault = ""
    page.wait_for_url(lambda url: not url.endswith(first))
    assert page.locator(".notice").count() == 0
    assert me.did() == [(first, "left-much")]


@pytest.mark.slow
def test_without_javascript_a_reply_that_is_lost_leaves_one_judgement(
    pairs: Newcomer, opened: Open, wire: Wire
) -> None:
    me = pairs()
    page = opened(me.link, **wire.options, java_script_enabled=False)
    first, wire.fault = item_of(page), "reply"
    page.click("button[value=left-much]")
    until(page, lambda: page.url.startswith("chrome-error:"))
    wire.fault = ""
    assert me.did() == [(first, "left-much")]
    page.reload()  # which sends it again
    assert item_of(page) != first
    assert me.did() == [(first, "left-much")]


# ---------------------------------------------------------------- the server is killed


def posted(url: str, choice: str, turn: str) -> socket.socket:
    """A line on which a judgement has been sent, and nothing was read."""
    address = urlsplit(url)
    body = urlencode({"choice": choice, "turn": turn})
    head = f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
    line = socket.create_connection((str(address.hostname), address.port or 80))
    line.sendall((head + body).encode())
    return line


def answered(line: socket.socket) -> bool:
    """Whether the judgement was acknowledged before the line went dead."""
    line.settimeout(20)
    with line, suppress(ConnectionError):
        return b" 303 " in line.recv(100)
    return False


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_between_a_post_and_its_reply_the_judgement_is_there_or_is_asked_for_again(
    study: Serve, tally: Tally, kills: int
) -> None:
    """The kills come within twice the time that a judgement takes here, so some come before it and some after it."""
    draw = random.Random(31)
    served = study("--annotators", "1", prompts=kills + 1)
    me, said, lost = Person(served, "annotator-1"), [], 0
    began = time.monotonic()
    form = httpx2.get(me.link, follow_redirects=True)
    assert answered(posted(str(form.url), "left-much", turn_of(form.text)))
    took = time.monotonic() - began
    said.append(str(form.url).rpartition("/")[2])
    for _ in range(kills):
        form = httpx2.get(me.link, follow_redirects=True)
        item, turn = str(form.url).rpartition("/")[2], turn_of(form.text)
        line = posted(str(form.url), "left-much", turn)
        time.sleep(draw.uniform(0, 2 * took))
        served.kill()
        acknowledged = answered(line)
        there = (item, "left-much") in me.did()
        lost += acknowledged and not there
        served.start()
        shown = str(httpx2.get(me.link, follow_redirects=True).url)
        assert shown.endswith(item) != there, "it is kept, or it is asked for again"
        assert answered(posted(str(form.url), "left-much", turn)), "what the page sends again is taken"
        said.append(item)
    assert lost == 0
    assert me.did() == [(item, "left-much") for item in said], "each once, in order"
    tally(kills, lost)
