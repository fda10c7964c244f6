"""What comes between an annotator and the next item, in a real browser: a key too many, the Back button, another tab, a
network that goes and a server that dies. Whatever happens, the ledger holds what was said, and holds it once.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from conftest import write_suite
from reading import FAINT
from sciexam.annotate.said import Said, read_body
from study import Study, chromium, said_by, write_answers

pytestmark = pytest.mark.slow

Serve = Callable[..., Study]
Open = Callable[..., Any]

PROMPTS = 4
PHONE = {"width": 390, "height": 844}
TAKE_BACK = "button:text('Take back')"
SCRIPT = pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without JavaScript"])


# ---------------------------------------------------------------- people, and what the ledger has of them


@dataclass(frozen=True)
class Person:
    """An annotator whom nobody has been before."""

    served: Study
    pseudonym: str

    @property
    def link(self) -> str:
        return self.served.links[self.pseudonym]

    def did(self) -> list[tuple[str, str]]:
        """The item and the choice of everything that the ledger holds of this person, in order of arrival."""
        return [(item, said.choice) for item, said in self.said()]

    def said(self) -> list[tuple[str, Said]]:
        _, done, people = self.served.kept()
        mine = [one for one in done if people[one.annotator].pseudonym == self.pseudonym]
        return [(one.item, read_body(one.choice, one.body)) for one in mine]

    def draft(self, item: str) -> Said:
        return read_body("", self._place(item).draft)

    def holds(self, item: str) -> bool:
        """Whether nobody else gets what lies before this person."""
        return self._place(item).until > time.time() * 1000

    def _place(self, item: str) -> Any:
        queue, _, people = self.served.kept()
        [me] = [one for one in people.values() if one.pseudonym == self.pseudonym]
        with self.served.store() as store:
            place = store.annotations.assignment(queue.id, me.id, item)
        assert place is not None
        return place


Newcomer = Callable[[], Person]


def text_of(name: str, prompt: int, sample: int) -> str:
    return f"{said_by(name, prompt, sample)} {'It is so. ' * sample}"


@contextmanager
def for_many(folder: Path, people: int, *options: str, samples: int = 1) -> Iterator[Newcomer]:
    """A served study in which each test is another annotator, of so many: everyone judges everything."""
    write_answers(folder, ("base", "sft"), PROMPTS, samples, text_of)
    write_suite(folder, PROMPTS, {name: {"responses": f"{name}.jsonl"} for name in ("base", "sft")})
    invited = ["--annotators", str(people), "--overlap", str(people)]
    served = Study(folder, [*options, "--suite", "exam.yaml", *invited]).start()
    numbers = count(1)
    yield lambda: Person(served, f"annotator-{next(numbers)}")
    served.stop()


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    with for_many(tmp_path_factory.mktemp("pairs"), 60) as newcomer:
        yield newcomer


@pytest.fixture(scope="module")
def rankings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    folder = tmp_path_factory.mktemp("rankings")
    with for_many(folder, 6, "--task", "ranking", "--samples", "2", samples=2) as newcomer:
        yield newcomer


@pytest.fixture(scope="module")
def demonstrations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    with for_many(tmp_path_factory.mktemp("demonstrations"), 6, "sft", "--task", "demonstrations") as newcomer:
        yield newcomer


# ---------------------------------------------------------------- doing things in a page


def go(page: Any, act: Callable[[], Any]) -> None:
    """Do something that opens another page, and wait for it."""
    before = page.url
    act()
    page.wait_for_url(lambda url: url != before)


def judge(page: Any, choice: str) -> None:
    go(page, lambda: page.click(f"button[value={choice}]"))


def item_of(page: Any) -> str:
    assert "/item/" in page.url
    return page.url.rpartition("/")[2]


def told(page: Any) -> str:
    """What the page says above the item."""
    return page.locator(".notice p").inner_text()


def until(page: Any, holds: Callable[[], bool]) -> None:
    """Wait, while the browser goes on, until something holds."""
    for _ in range(400):
        if holds():
            return
        page.wait_for_timeout(25)
    raise AssertionError("it never came about")


def middle_of(page: Any, selector: str) -> tuple[float, float]:
    box = page.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def held_back(page: Any) -> list[Any]:
    """The posts that the page makes from now on, which stay on their way until `arrive`."""
    held: list[Any] = []
    page.route("**/a/**", lambda one: held.append(one) if one.request.method == "POST" else one.continue_())
    return held


def arrive(page: Any, held: list[Any]) -> int:
    """Let what was posted reach the server, twice, also where the browser let go of it, and wait for where it leads.

    Returns how many posts there were.
    """
    here, sent = page.url, []

    def led() -> bool:
        while held:
            sent.append(held.pop(0))
            sent[-1].fetch(max_redirects=0)
            sent[-1].continue_()
        return bool(page.url != here)

    until(page, led)
    page.wait_for_load_state()
    return len(sent)


# ---------------------------------------------------------------- once too often


@SCRIPT
def test_a_double_click_judges_one_item(pairs: Newcomer, opened: Open, script: bool) -> None:
    me = pairs()
    page = opened(me.link, java_script_enabled=script)
    first, held = item_of(page), held_back(page)
    page.mouse.dblclick(*middle_of(page, "button[value=left-slightly]"))
    arrive(page, held)
    assert me.did() == [(first, "left-slightly")]
    assert item_of(page) != first


def test_the_second_click_of_a_double_click_does_not_judge_the_item_that_the_first_one_opened(
    pairs: Newcomer, opened: Open
) -> None:
    me = pairs()
    page = opened(me.link)
    first, there = item_of(page), middle_of(page, "button[value=left-much]")
    go(page, lambda: page.mouse.click(*there))
    second = item_of(page)
    page.mouse.down(click_count=2)
    page.mouse.up(click_count=2)
    judge(page, "right-much")
    assert me.did() == [(first, "left-much"), (second, "right-much")]


def test_what_is_pressed_while_a_judgement_is_on_its_way_changes_nothing(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    page = opened(me.link)
    first, held = item_of(page), held_back(page)
    page.mouse.click(*middle_of(page, "button[value=left-much]"))
    page.mouse.click(*middle_of(page, "button[value=left-much]"))
    page.mouse.click(*middle_of(page, "button[value=right-much]"))
    for key in ("1", "1", "4", "0", "Enter"):
        page.keyboard.press(key)
    assert arrive(page, held) == 1
    assert me.did() == [(first, "left-much")]


@SCRIPT
def test_enter_that_is_held_down_judges_one_item(pairs: Newcomer, opened: Open, script: bool) -> None:
    me = pairs()
    page = opened(me.link, java_script_enabled=script)
    first, held = item_of(page), held_back(page)
    page.focus("button[value=right-slightly]")
    for _ in range(3):
        page.keyboard.down("Enter")  # a down without an up is a repetition
    arrive(page, held)
    page.unroute_all()
    second = item_of(page)
    for _ in range(3):
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    judge(page, "left-much")
    assert me.did() == [(first, "right-slightly"), (second, "left-much")]


@SCRIPT
def test_enter_on_a_criterion_judges_nothing(pairs: Newcomer, opened: Open, script: bool) -> None:
    me = pairs()
    page = opened(me.link, java_script_enabled=script)
    first = item_of(page)
    page.click(".by-criterion summary")
    page.check("input[name=criterion-0][value=right]", force=True)
    page.keyboard.press("Enter")
    judge(page, "left-much")
    [(item, said)] = me.said()
    assert (item, said.choice, list(said.criteria.values())) == (first, "left-much", ["right"])


def test_sixteen_posts_at_once_from_a_page_are_one_judgement(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    page = opened(me.link)
    replies = page.evaluate("""() => Promise.all(Array.from({length: 16}, async () => {
        const form = document.getElementById("judgement");
        const body = new URLSearchParams(new FormData(form, form.querySelector("button[value=left-much]")));
        const reply = await fetch(form.action, {method: "POST", body, headers: {"X-Sciexam": "1"}});
        return [reply.status, (await reply.json()).next];
    }))""")
    assert me.did() == [(item_of(page), "left-much")]
    assert {status for status, _ in replies} == {200}
    assert len({after for _, after in replies}) == 1


# ---------------------------------------------------------------- back and forward


def test_back_shows_what_was_said_and_another_choice_changes_it(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    page = opened(me.link)
    first = item_of(page)
    go(page, lambda: page.keyboard.press("1"))
    second = item_of(page)
    page.go_back()
    assert item_of(page) == first
    assert told(page) == "You judged this already: Left much better. Choose again to change it, or go on."
    assert page.get_by_role("button", name="Left much better (what you said)").count() == 1
    page.go_forward()
    assert item_of(page) == second
    assert page.locator(".notice").count() == 0
    page.go_back()
    go(page, lambda: page.keyboard.press("4"))
    assert item_of(page) == second
    assert me.did() == [(first, "left-much"), (first, "right-much")]
    page.go_back()
    assert "You judged this already: Right much better." in told(page)


@pytest.fixture(scope="module")
def remembering(browser: Any) -> Iterator[Any]:
    """A browser with a back-forward cache, which Playwright switches off elsewhere."""
    made = browser.browser_type.launch(
        executable_path=chromium(),
        args=["--no-sandbox", "--disable-gpu"],
        ignore_default_args=["--disable-back-forward-cache"],
    )
    yield made
    made.close()


def test_a_page_out_of_the_back_forward_cache_says_that_its_item_was_judged_since(
    pairs: Newcomer, remembering: Any
) -> None:
    """Chromium keeps no page that has asked for anything by itself, so it is left for the history and opened anew."""
    me, restored = pairs(), []
    with remembering.new_context() as context:
        context.add_init_script("addEventListener('pageshow', (event) => console.log(event.persisted))")
        page = context.new_page()
        page.goto(me.link)
        first = item_of(page)
        go(page, lambda: page.keyboard.press("h"))
        go(page, lambda: page.keyboard.press("n"))
        assert item_of(page) == first
        go(page, lambda: page.keyboard.press("1"))
        page.on("console", lambda line: restored.append(line.text))
        go(page, lambda: page.evaluate("setTimeout(() => history.go(-3))"))
        until(page, lambda: "true" in restored)
        assert item_of(page) == first
        assert "You judged this already: Left much better." in told(page)
        go(page, lambda: page.keyboard.press("4"))
        assert me.did() == [(first, "left-much"), (first, "right-much")]


def test_without_javascript_a_form_from_before_is_told_that_its_item_was_judged_since(
    pairs: Newcomer, remembering: Any
) -> None:
    me = pairs()
    with remembering.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(me.link)
        first = item_of(page)
        judge(page, "left-much")
        second = item_of(page)
        page.go_back(wait_until="commit")
        until(page, lambda: item_of(page) == first)
        assert page.locator(".notice").count() == 0  # it is the page of before
        with page.expect_response(lambda response: response.request.method == "POST") as answer:
            page.click("button[value=right-much]")
        assert answer.value.status == 409
        assert "You judged this already, in another window or before." in told(page)
        assert page.locator("[data-said]").get_attribute("value") == "left-much"
        assert me.did() == [(first, "left-much")]
        judge(page, "right-much")
        assert item_of(page) == second
        assert me.did() == [(first, "left-much"), (first, "right-much")]


# ---------------------------------------------------------------- two windows, two devices


@SCRIPT
def test_another_choice_in_another_tab_is_told_and_changes_nothing(pairs: Newcomer, opened: Open, script: bool) -> None:
    me = pairs()
    one = opened(me.link, java_script_enabled=script)
    other = one.context.new_page()
    other.goto(one.url)
    first = item_of(one)
    judge(one, "left-much")
    other.click("button[value=right-much]")
    other.locator(".notice").wait_for()
    assert "You judged this already, in another window or before. What stands is marked" in told(other)
    assert other.locator("[data-said]").get_attribute("value") == "left-much"
    assert item_of(other) == first
    assert me.did() == [(first, "left-much")]
    judge(other, "right-much")
    assert item_of(other) == item_of(one)
    assert me.did() == [(first, "left-much"), (first, "right-much")]


@SCRIPT
def test_the_same_choice_in_another_tab_goes_on(pairs: Newcomer, opened: Open, script: bool) -> None:
    me = pairs()
    one = opened(me.link, java_script_enabled=script)
    other = one.context.new_page()
    other.goto(one.url)
    first = item_of(one)
    judge(one, "left-much")
    judge(other, "left-much")
    assert item_of(other) == item_of(one) != first
    assert other.locator(".notice").count() == 0
    assert me.did() == [(first, "left-much")]


def test_what_was_typed_in_another_tab_is_still_there_when_it_is_told(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    one = opened(me.link)
    other = one.context.new_page()
    other.goto(one.url)
    first = item_of(one)
    judge(one, "left-much")
    other.fill("textarea[name=comment]", "typed here")
    other.click("button[value=right-much]")
    other.locator(".notice").wait_for()
    assert other.input_value("textarea[name=comment]") == "typed here"
    judge(other, "right-much")
    assert me.said() == [(first, Said("left-much")), (first, Said("right-much", "typed here"))]


def test_two_devices_of_one_annotator_take_turns(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    laptop, phone = opened(me.link), opened(me.link, **PHONE, has_touch=True, is_mobile=True)
    expected = []
    for number in range(PROMPTS):
        acts, waits = (laptop, phone) if number % 2 else (phone, laptop)
        assert item_of(acts) == item_of(waits)
        expected.append((item_of(acts), "right-slightly"))
        judge(acts, "right-slightly")
        if number % 2:
            go(waits, lambda waits=waits: waits.goto(me.link))
        else:
            judge(waits, "right-slightly")  # the same again, of what it still shows
    assert me.did() == expected
    assert len({item for item, _ in expected}) == PROMPTS
    for device in (laptop, phone):
        assert "Nothing left to judge" in device.inner_text("h1")


# ---------------------------------------------------------------- the network


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


class Wire(ThreadingHTTPServer):
    """A proxy before the server, with a `fault` in what is posted: the "request" is cut, the "reply", or "half" of it;
    what is "late" arrives when `free` is set. Chromium itself sends some of it again: a fault lasts until it is ended.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.fault = ""
        self.free = threading.Event()
        self.waiting = 0
        self.drafts = 0  # that reached the server

    @property
    def options(self) -> dict[str, Any]:
        return {"proxy": {"server": f"http://127.0.0.1:{self.server_port}"}}


class Passing(BaseHTTPRequestHandler):
    server: Wire

    def do_GET(self) -> None:
        self._answer(*self._asked(b""))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        fault = self.server.fault
        if fault == "request":
            return
        if fault == "late":
            self.server.waiting += 1
            self.server.free.wait(30)
        status, headers, text = self._asked(body)
        self.server.drafts += self.path.endswith("/draft")
        if fault != "reply":
            self._answer(status, headers, text[: len(text) // 2] if fault == "half" else text)

    def _asked(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        address = urlsplit(self.path)
        line = HTTPConnection(address.hostname, address.port, timeout=30)
        given = {name: value for name, value in self.headers.items() if "connection" not in name.lower()}
        line.request(self.command, address.path + ("?" * bool(address.query)) + address.query, body, given)
        reply = line.getresponse()
        return reply.status, reply.getheaders(), reply.read()

    def _answer(self, status: int, headers: list[tuple[str, str]], text: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        with suppress(BrokenPipeError):  # the browser has gone
            self.end_headers()
            self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire() as laid:
        threading.Thread(target=laid.serve_forever, daemon=True).start()
        yield laid
        laid.free.set()
        laid.shutdown()


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


def test_a_server_that_ends_or_is_killed_is_waited_for(study: Serve, opened: Open) -> None:
    served = study("--annotators", "1", prompts=PROMPTS)
    me, expected = Person(served, "annotator-1"), []
    page, link = opened(me.link), me.link
    for end in (served.stop, served.kill):
        item = item_of(page)
        end()
        page.keyboard.press("4")
        page.get_by_text("Not saved yet").wait_for()
        assert me.did() == expected
        page.context.set_offline(True)
        served.start()
        go(page, lambda: page.context.set_offline(False))  # sooner than it would try again anyway
        expected.append((item, "right-much"))
        assert me.did() == expected
    assert me.link == link
    elsewhere = opened(me.link)
    assert elsewhere.url == page.url
    assert f"2 of {PROMPTS}" in elsewhere.inner_text("header")
    judge(page, "left-much")
    assert len(me.did()) == 3


# ---------------------------------------------------------------- drafts


def saved(page: Any) -> None:
    page.get_by_role("status").filter(has_text="Draft saved").wait_for()


def test_what_was_typed_is_there_again_and_goes_with_the_judgement(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    page = opened(me.link)
    first, field = item_of(page), "textarea[name=comment]"
    page.keyboard.press("c")
    page.keyboard.type("Half a sentence, ")
    saved(page)
    page.reload()
    assert page.input_value(field) == "Half a sentence, "
    elsewhere = opened(me.link)
    page.context.close()
    assert elsewhere.input_value(field) == "Half a sentence, "
    elsewhere.focus(field)
    elsewhere.keyboard.press("End")
    elsewhere.keyboard.type("and the rest.")
    elsewhere.keyboard.press("Escape")
    go(elsewhere, lambda: elsewhere.keyboard.press("1"))
    assert elsewhere.input_value(field) == ""
    assert me.said() == [(first, Said("left-much", "Half a sentence, and the rest."))]
    assert me.draft(first) == Said()


@pytest.mark.parametrize("leave", ["close", "history"])
def test_what_was_typed_just_before_one_leaves_is_kept(pairs: Newcomer, opened: Open, leave: str) -> None:
    me = pairs()
    page = opened(me.link)
    first, witness = item_of(page), page.context.new_page()
    page.fill("textarea[name=comment]", "on my way out")
    if leave == "close":
        page.close(run_before_unload=True)
    else:
        page.click("a:text('History')")
    until(witness, lambda: me.draft(first) == Said("", "on my way out"))
    assert opened(me.link).input_value("textarea[name=comment]") == "on my way out"
    assert me.did() == []


def test_a_draft_that_is_still_on_its_way_when_one_leaves_is_sent_again(
    pairs: Newcomer, opened: Open, wire: Wire
) -> None:
    me, wire.fault = pairs(), "late"
    page = opened(me.link, **wire.options)
    first, witness = item_of(page), page.context.new_page()
    page.fill("textarea[name=comment]", "on my way out")
    until(page, lambda: wire.waiting == 1)
    wire.fault = ""
    page.close(run_before_unload=True)
    until(witness, lambda: me.draft(first) == Said("", "on my way out"))


def test_a_draft_that_was_overtaken_does_not_win(pairs: Newcomer, opened: Open, wire: Wire) -> None:
    me, wire.fault = pairs(), "late"
    page = opened(me.link, **wire.options)
    page.keyboard.press("c")
    page.keyboard.type("old")
    until(page, lambda: wire.waiting == 1)
    wire.fault = ""
    page.keyboard.type(" and new")
    page.wait_for_timeout(1000)  # time for the newer one to overtake it, if it does
    wire.free.set()
    until(page, lambda: wire.drafts == 2)
    assert me.draft(item_of(page)).comment == "old and new"


def test_a_draft_that_arrives_after_the_judgement_is_none(pairs: Newcomer, opened: Open, wire: Wire) -> None:
    me, wire.fault = pairs(), "late"
    page = opened(me.link, **wire.options)
    first = item_of(page)
    page.keyboard.press("c")
    page.keyboard.type("old")
    until(page, lambda: wire.waiting == 1)
    wire.fault = ""
    page.keyboard.type(" and new")
    page.keyboard.press("Escape")
    go(page, lambda: page.keyboard.press("1"))
    wire.free.set()
    until(page, lambda: wire.drafts == 1)
    page.go_back()
    assert page.input_value("textarea[name=comment]") == "old and new"
    assert me.said() == [(first, Said("left-much", "old and new"))]


def test_a_draft_waits_for_the_network_too(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    page = opened(me.link)
    first, asked = item_of(page), []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.context.set_offline(True)
    page.keyboard.press("c")
    page.keyboard.type("written in a tunnel")
    page.get_by_role("status").filter(has_text="Draft not saved yet").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("h")
    until(page, lambda: asked == ["beforeunload"])  # whoever goes now, loses it
    assert me.draft(first) == Said()
    page.context.set_offline(False)
    saved(page)
    assert me.draft(first) == Said("", "written in a tunnel")
    go(page, lambda: page.keyboard.press("h"))
    assert asked == ["beforeunload"]


def test_a_text_that_is_being_written_is_there_again(demonstrations: Newcomer, opened: Open) -> None:
    me = demonstrations()
    page = opened(me.link)
    first, text = item_of(page), "What I would say,\n\n  with <b>care</b> & more. "
    page.fill("textarea[name=text]", text)
    saved(page)
    page.reload()
    assert page.input_value("textarea[name=text]") == text
    elsewhere = opened(me.link)
    assert elsewhere.input_value("textarea[name=text]") == text
    go(elsewhere, lambda: elsewhere.click("button[value=edit]"))
    assert me.said() == [(first, Said("edit", text=text))]
    assert elsewhere.input_value("textarea[name=text]").startswith("It follows from law")


def order_in(page: Any) -> list[str]:
    return page.locator("#order li").evaluate_all("rows => rows.map(row => row.dataset.name)")


def test_an_order_that_is_being_made_is_there_again(rankings: Newcomer, opened: Open) -> None:
    me = rankings()
    page = opened(me.link)
    before = order_in(page)
    wanted = [before[3], before[0], before[2], before[1]]
    for place, name in enumerate(wanted, 1):
        page.locator(f"#order li[data-name='{name}'] .handle").focus()
        page.keyboard.press(str(place))
    assert order_in(page) == wanted
    saved(page)
    page.reload()
    assert order_in(page) == wanted
    elsewhere = opened(me.link)
    assert order_in(elsewhere) == wanted
    first, kept = item_of(elsewhere), me.draft(item_of(elsewhere)).ranking
    go(elsewhere, lambda: elsewhere.keyboard.press("s"))
    assert me.said() == [(first, Said("ranking", ranking=kept))]


# ---------------------------------------------------------------- a break, and taking back


@SCRIPT
def test_a_break_gives_the_item_back_and_go_on_returns_to_it(pairs: Newcomer, opened: Open, script: bool) -> None:
    me = pairs()
    page = opened(me.link, java_script_enabled=script)
    first = page.url
    page.fill("textarea[name=comment]", "before the break")
    if script:
        saved(page)
        page.keyboard.press("Escape")
    assert me.holds(item_of(page))
    go(page, lambda: page.keyboard.press("b") if script else page.click("button:text('Break')"))
    assert page.inner_text("h1") == "A break"
    assert not me.holds(first.rpartition("/")[2])
    go(page, lambda: page.click("text=Go on"))
    assert page.url == first
    assert page.input_value("textarea[name=comment]") == ("before the break" if script else "")
    assert me.holds(item_of(page))
    assert me.did() == []


@pytest.mark.parametrize("press", ["u u", "dblclick"])
def test_taking_back_twice_at_once_takes_one_back(pairs: Newcomer, opened: Open, press: str) -> None:
    me = pairs()
    page = opened(me.link)
    first = item_of(page)
    judge(page, "left-much")
    second = item_of(page)
    judge(page, "left-much")
    held = held_back(page)
    if press == "dblclick":
        page.mouse.dblclick(*middle_of(page, TAKE_BACK))
    else:
        page.keyboard.press("u")
        page.keyboard.press("u")
    arrive(page, held)
    assert item_of(page) == second
    assert "Taken back" in told(page)
    assert me.did() == [(first, "left-much"), (second, "left-much"), (second, "withdrawn")]


def test_the_second_click_of_a_double_click_takes_nothing_more_back(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    page = opened(me.link)
    first = item_of(page)
    judge(page, "left-much")
    second = item_of(page)
    judge(page, "left-much")
    go(page, lambda: page.mouse.click(*middle_of(page, TAKE_BACK)))
    page.mouse.down(click_count=2)
    page.mouse.up(click_count=2)
    judge(page, "right-much")
    assert me.did() == [(first, "left-much"), (second, "left-much"), (second, "withdrawn"), (second, "right-much")]


def test_each_press_of_u_takes_one_more_back(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    page = opened(me.link)
    assert page.locator(TAKE_BACK).count() == 0
    page.keyboard.press("u")
    first = item_of(page)
    judge(page, "left-much")
    second = item_of(page)
    judge(page, "right-much")
    go(page, lambda: page.keyboard.press("u"))
    assert item_of(page) == second
    go(page, lambda: page.keyboard.press("u"))
    assert item_of(page) == first
    assert page.locator(TAKE_BACK).count() == 0
    assert me.did() == [(first, "left-much"), (second, "right-much"), (second, "withdrawn"), (first, "withdrawn")]


def test_a_tab_that_does_not_know_the_last_judgement_takes_nothing_back(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    page = opened(me.link)
    first = item_of(page)
    judge(page, "left-much")
    stale = page.context.new_page()
    stale.goto(page.url)
    second = item_of(page)
    judge(page, "right-much")
    go(stale, lambda: stale.keyboard.press("u"))
    assert stale.url == page.url
    assert me.did() == [(first, "left-much"), (second, "right-much")]


# ---------------------------------------------------------------- without a script


def test_a_queue_is_judged_without_javascript(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    page = opened(me.link, java_script_enabled=False)
    expected = []
    for choice in ("left-much", "right-slightly", "cannot", "right-much"):
        page.fill("textarea[name=comment]", f"on {choice}")
        value = page.locator(f"button[name=choice][value^={choice}]").get_attribute("value")
        expected.append((item_of(page), Said(value, f"on {choice}")))
        judge(page, value)
    assert "Nothing left to judge" in page.inner_text("h1")
    assert me.said() == expected


def test_without_javascript_equal_ranks_are_told_and_what_was_entered_stays(rankings: Newcomer, opened: Open) -> None:
    me = rankings()
    page = opened(me.link, java_script_enabled=False)
    first = item_of(page)
    names = page.locator("#order select").evaluate_all("all => all.map((one) => one.name)")
    for name, rank in zip(names, ("3", "1", "1", "4"), strict=True):
        page.select_option(f"select[name={name}]", rank)
    page.fill("textarea[name=comment]", "It was hard to say.")
    with page.expect_response(lambda response: response.request.method == "POST") as answer:
        page.click("button[value=ranking]")
    assert answer.value.status == 422
    assert told(page) == "Give every answer a rank of its own, from 1 for the best."
    assert page.input_value("textarea[name=comment]") == "It was hard to say."
    assert [page.input_value(f"select[name={name}]") for name in names] == ["3", "1", "2", "4"]  # the nearest order
    assert me.did() == []
    kept = ranked(page)
    judge(page, "ranking")
    queue, _, _ = me.served.kept()
    [(item, said)] = me.said()
    assert (item, said.comment) == (first, "It was hard to say.")
    assert [queue.by_id[item].texts[slot].strip() for slot in said.ranking] == kept


def ranked(page: Any) -> list[str]:
    """The answers by their places, best first, without a script."""
    fields = sorted(page.locator("#order select").all(), key=lambda field: field.input_value())
    slots = [field.get_attribute("name").removeprefix("rank-") for field in fields]
    return [page.locator(f"#answer-{slot} .prose").inner_text().strip() for slot in slots]


# ---------------------------------------------------------------- for everyone

NAMED = {"button", "textbox", "combobox", "radio", "checkbox", "link", "progressbar", "DisclosureTriangle"}

# What has the focus: which it is, whether one sees that it has, and whether one sees it at all.
FOCUSED = """() => {
    const element = document.activeElement;
    if (!element || element === document.body) return null;
    const drawn = element.matches(".segments input") ? element.nextElementSibling : element;
    const style = getComputedStyle(drawn);
    const box = drawn.getBoundingClientRect();
    const there = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    return {
        name: element.value || element.ariaLabel || element.innerText || element.id,
        choice: element.matches(".choice, .cannot"),
        ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
        seen: Boolean(there) && (drawn.contains(there) || element.contains(there) || there.contains(drawn)),
    };
}"""


@pytest.fixture(scope="module")
def tour(browser: Any, pairs: Newcomer, rankings: Newcomer, demonstrations: Newcomer) -> dict[str, str]:
    """An address of every kind of page."""
    me, done, against = pairs(), pairs(), pairs()
    context = browser.new_context()
    page = context.new_page()
    for person, better, how_many in ((me, "Because of", 2), (done, "It follows", PROMPTS), (against, "Because of", 1)):
        page.goto(person.link)
        for _ in range(how_many):
            judge(page, "left-much" if better in page.inner_text("#left") else "right-much")
    context.close()
    with httpx2.Client(timeout=30) as client:
        following = [client.get(one.link, follow_redirects=True) for one in (me, rankings(), demonstrations())]
    pair, ranking, demonstration = (str(answer.url) for answer in following)
    return {
        "pair": pair,
        "judged": f"{me.link}/item/{me.did()[0][0]}",
        "ranking": ranking,
        "demonstration": demonstration,
        "history": f"{me.link}/history",
        "pause": f"{me.link}/pause?suggested",
        "done": f"{done.link}/next",
        "message": f"{me.link}/item/none",
        "overview": me.served.links["adjudication"],
        "disputed": f"{me.served.links['adjudication']}/disputed",
    }


def test_every_control_has_a_name_and_every_page_one_heading(tour: dict[str, str], opened: Open) -> None:
    page = opened("about:blank")
    tree = page.context.new_cdp_session(page)
    for name, url in tour.items():
        page.goto(url)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.name = ''; one.open = true; })")
        page.evaluate("document.querySelectorAll('[placeholder]').forEach((one) => { one.placeholder = ''; })")
        nodes = [node for node in tree.send("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
        named = [(node["role"]["value"], node["name"]["value"]) for node in nodes if node["role"]["value"] in NAMED]
        assert [one for one in named if not re.search(r"[^\W\d_]{2}", one[1])] == [], name  # an arrow is no name
        assert len(named) > 1, name
        assert page.locator("h1").count() == 1, name
        assert page.locator("html").get_attribute("lang") == "en", name
        assert page.title(), name


@pytest.mark.parametrize("name", ["pair", "ranking", "demonstration"])
@pytest.mark.parametrize("width", [1280, 390])
def test_tab_reaches_every_choice_and_one_sees_where_it_is(
    tour: dict[str, str], opened: Open, name: str, width: int
) -> None:
    page = opened(tour[name], width=width, height=568)
    page.evaluate("for (const one of document.querySelectorAll('.by-criterion')) one.open = true")
    choices = page.locator(".choice, .cannot").evaluate_all("all => all.map((one) => one.value)")
    reached: list[dict[str, Any]] = []
    for _ in range(80):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUSED)
        if at is None:
            break
        reached.append(at)
    assert [at["name"] for at in reached if not at["ring"]] == []
    assert [at["name"] for at in reached if not at["seen"]] == []
    assert sorted(at["name"] for at in reached if at["choice"]) == sorted(choices)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone_and_is_readable(tour: dict[str, str], opened: Open, scheme: str) -> None:
    page = opened("about:blank", **PHONE, color_scheme=scheme)
    found: dict[str, Any] = {}
    for name, url in tour.items():
        page.goto(url)
        page.evaluate("document.querySelectorAll('details:not(.panel)').forEach((one) => { one.open = true; })")
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found[f"{name} is too wide"] = page.evaluate("document.documentElement.scrollWidth")
        if faint := page.evaluate(FAINT):
            found[f"{name} is faint"] = faint
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] < 128")
        assert dark == (scheme == "dark"), name
    assert found == {}
