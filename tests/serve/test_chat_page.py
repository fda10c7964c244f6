"""The page of `sciexam serve` in a real browser: two answers side by side, blind votes, and what is kept of them."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from conftest import Cli, write_jsonl, write_suite
from sciexam.serve.votes import votes_in
from sciexam.store import Store
from served import Server, Start

pytestmark = pytest.mark.slow

Open = Callable[..., Any]

BEGINS = {"base": "Because of", "sft": "It follows from"}
QUESTION = "What did I tell nobody?"


@pytest.fixture(scope="module")
def server(speaking: Start) -> Server:
    return speaking("--delay", "0.01")


class Visit:
    """A visitor's tab, and everything in it that should not be: errors, and requests to elsewhere."""

    def __init__(self, opened: Open, server: Server, **options: Any):
        self.wrong: list[str] = []
        self.told: list[str] = []
        self.page = opened("about:blank", **options)
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self._request(request, server.url))
        self.page.on("dialog", lambda dialog: self.wrong.append("dialog"))
        self.page.goto(f"{server.url}/")
        self.page.wait_for_selector("#welcome:not([hidden])")

    def _request(self, request: Any, url: str) -> None:
        if not request.url.startswith((f"{url}/", "data:")):
            self.wrong.append(request.url)

    def ask(self, text: str) -> None:
        """Ask, and wait until both have answered."""
        self.page.fill("#question", text)
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector("#send:not([hidden])")

    def answers(self) -> list[str]:
        return [one.inner_text() for one in self.page.locator(".text").all()]

    def headings(self) -> list[str]:
        return [" ".join(one.inner_text().split()) for one in self.page.locator(".answer h2").all()]

    def agree(self) -> None:
        self.page.click("#keep")
        self.page.click("#agree")
        self.page.wait_for_selector("#erase:not([hidden])")


def said_by(text: str) -> str:
    return "base" if text.startswith("Because of") else "sft"


def bytes_of(folder: Path) -> bytes:
    """Everything in a server's folder: its ledger, the logs of the database, and what it printed."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_which_is_left_is_drawn_for_each_conversation_and_told_once_voted(server: Server, opened: Open) -> None:
    visit = Visit(opened, server)
    left = []
    for number in range(12):
        visit.ask(f"thing {number}?")
        left.append(said_by(visit.answers()[0]))
        assert visit.headings() == ["Left", "Right"]
        assert {said_by(text) for text in visit.answers()} == {"base", "sft"}
        visit.page.keyboard.press("Escape")
        visit.page.keyboard.press("123"[number % 3])
        visit.page.wait_for_selector(".outcome")
        other = "sft" if left[-1] == "base" else "base"
        assert visit.headings() == [f"{left[-1]} left", f"{other} right"]
        named = {0: f"You preferred {left[-1]}", 1: "You saw no difference", 2: f"You preferred {other}"}[number % 3]
        assert visit.page.inner_text(".outcome").startswith(named)
        visit.page.keyboard.press("n")
        visit.page.wait_for_selector("#welcome:not([hidden])")
    assert set(left) == {"base", "sft"}  # one in 2,048 draws is of one kind
    assert visit.wrong == []


def test_without_an_agreement_nothing_is_written_anywhere(speaking: Start, opened: Open) -> None:
    server = speaking()
    visit = Visit(opened, server)
    visit.ask(QUESTION)
    visit.page.click("[data-choice=left]")
    visit.page.wait_for_selector(".outcome")
    assert visit.page.inner_text("#status").endswith("The vote was not kept.")
    visit.page.click("#keep")  # the notice is read, and declined
    assert "What is stored if you agree" in visit.page.inner_text("#notice")
    visit.page.click("#decline")
    assert not visit.page.is_checked("#keep")
    visit.page.click("#new")
    visit.ask(f"{QUESTION} More?")
    visit.page.click("[data-choice=right]")
    visit.page.wait_for_selector(".outcome")
    assert not (server.folder / "ledger.sqlite").exists()
    assert server.stop() == 0
    assert QUESTION.encode() not in bytes_of(server.folder)
    assert server.output.strip().isdecimal()  # its port
    assert visit.wrong == []


@pytest.mark.slow
def test_a_vote_that_is_kept_is_read_again_with_both_conversations(server: Server, opened: Open, sciexam: Cli) -> None:
    visit = Visit(opened, server)
    visit.agree()
    pseudonym = visit.page.inner_text("#status").rpartition(" ")[2].rstrip(".")
    assert pseudonym.startswith("visitor-")
    kept = []
    for choice, side in (("left", "first"), ("tie", "tie"), ("right", "second")):
        visit.ask(f"{QUESTION} {choice}")
        if choice == "tie":
            visit.ask("and then?")
        left, right = visit.answers()[-2:]
        visit.page.click(f"[data-choice={choice}]")
        visit.page.wait_for_selector(".outcome")
        assert visit.page.inner_text(".outcome").endswith("The vote was kept.")
        kept.append((said_by(left), said_by(right), side, pseudonym, left, right))
        visit.page.click("#new")
    with Store(server.folder / "ledger.sqlite") as store:
        votes = [vote for vote in votes_in(store) if vote.verdict.rater == pseudonym]
    found = [
        (v.first, v.second, v.preferred, v.rater, one.said["left"][-1].content, one.said["right"][-1].content)
        for one in votes
        for v in [one.verdict]
    ]
    assert found == kept
    assert {vote.verdict.kind for vote in votes} == {"human"}
    assert [len(vote.said["left"]) for vote in votes] == [2, 4, 2]
    assert visit.wrong == []
    # As an exam of their own they are counted, as the visitors gave them.
    done = sciexam("serve", "sft", "--votes", "votes", "--store", str(server.folder / "ledger.sqlite"))
    assert done.stderr == "sciexam: wrote 3 votes to votes\n"
    files = [f"votes/{name}.jsonl" for name in ("answers-base", "answers-sft", "prompts", "votes")]
    compare = ("compare", *files[:2], "--prompts", files[2], "--judge", files[3], "--json")
    done = sciexam(*compare)
    assert done.returncode == 0, done.stderr
    sides = [one[2] if one[1] == "sft" else {"first": "second", "second": "first"}.get(one[2], one[2]) for one in kept]
    wins = {"second": 1.0, "tie": 0.5, "first": 0.0}
    assert json.loads(done.stdout)["pairs"][0]["win_rate"]["value"] == pytest.approx(sum(wins[s] for s in sides) / 3)


@pytest.mark.slow
def test_no_comparison_of_the_suite_counts_a_visitors_vote(speaking: Start, sciexam: Cli) -> None:
    """The visitor asks a prompt of the suite, and gets the very answers that the contestants gave in the exam."""
    server = speaking()
    folder = server.folder
    write_suite(folder, 1, {name: {"responses": f"{name}.jsonl"} for name in BEGINS})
    asked = "Why does thing 0 happen?"
    for name, begins in BEGINS.items():
        write_jsonl(folder / f"{name}.jsonl", [{"prompt": "q0", "text": f"{begins} {asked}, I think."}])
    with httpx2.Client(base_url=server.url) as client:
        visit = client.post("/chat/agree", json={}).json()["visit"]
        lines = client.post("/chat/say", json={"talk": None, "text": asked, "blind": True}).text.splitlines()
        talk = json.loads(lines[0])["talk"]
        voted = client.post("/chat/vote", json={"talk": talk, "choice": "left", "visit": visit})
        assert voted.json()["kept"] is True
        again = client.post("/chat/vote", json={"talk": talk, "choice": "left", "visit": visit})
        assert again.status_code == 409
    server.stop()
    with Store(folder / "ledger.sqlite") as store:
        [vote] = votes_in(store)
        assert store.has_human_verdicts()
    assert {vote.said[hand][1].content for hand in ("left", "right")} == {
        f"{begins} {asked}, I think." for begins in BEGINS.values()
    }
    args = ("base", "sft", "--suite", "exam.yaml", "--store", "ledger.sqlite")
    compared = sciexam("compare", *args, "--judge", "humans", cwd=folder)
    assert "holds no human verdict on base, sft" in compared.stderr
    assert "'humans' has no verdict on base, sft" in sciexam("agree", *args, cwd=folder).stderr


def test_nothing_that_is_sent_before_a_blind_vote_tells_a_name(server: Server) -> None:
    with httpx2.Client(base_url=server.url) as client:
        for number in range(4):
            answer = client.post("/chat/say", json={"talk": None, "text": f"say: {number}", "blind": True})
            assert '"names": null' in answer.text
            assert not [name for name in BEGINS if name in answer.text or name in str(answer.headers)]
        talk = json.loads(answer.text.splitlines()[0])["talk"]
        other = client.post("/chat/vote", json={"talk": "another", "choice": "left", "visit": None})
        assert other.status_code == 404
        forged = client.post("/chat/vote", json={"talk": talk, "choice": "left", "visit": "visitor-00000000"})
        assert forged.status_code == 403
        told = client.post("/chat/vote", json={"talk": talk, "choice": "left", "visit": None}).json()
        assert (set(told["names"].values()), told["kept"]) == (set(BEGINS), False)


@pytest.mark.slow
def test_a_visitor_can_have_deleted_what_was_kept(speaking: Start, opened: Open, sciexam: Cli) -> None:
    server = speaking()
    location = server.folder / "ledger.sqlite"
    visits = [Visit(opened, server) for _ in range(2)]
    names = []
    for number, visit in enumerate(visits):
        visit.agree()
        names.append(visit.page.inner_text("#status").rpartition(" ")[2].rstrip("."))
        visit.ask(f"{QUESTION} {number}")
        visit.page.click("[data-choice=tie]")
        visit.page.wait_for_selector(".outcome")
    visits[0].page.click("#erase")
    visits[0].page.wait_for_selector("#erase", state="hidden")
    assert visits[0].page.inner_text("#status").startswith("Deleted: 1 vote")
    with Store(location) as store:
        assert [vote.verdict.rater for vote in votes_in(store)] == [names[1]]
    server.stop()
    with sqlite3.connect(location) as raw:
        texts = [zlib.decompress(body).decode() for (body,) in raw.execute("SELECT body FROM texts")]
    assert [text for text in texts if f"{QUESTION} 1" in text]
    assert not [text for text in texts if f"{QUESTION} 0" in text]
    done = sciexam("serve", "sft", "--forget", names[1], "--store", str(location))
    assert done.stderr == f"sciexam: 1 votes of {names[1]} were deleted\n"
    with sqlite3.connect(location) as raw:
        assert raw.execute("SELECT count(*) FROM votes").fetchone() == (0,)
        assert raw.execute("SELECT count(*) FROM verdicts").fetchone() == (0,)


@pytest.mark.slow
def test_who_has_seen_the_names_has_no_vote(server: Server, opened: Open) -> None:
    visit = Visit(opened, server)
    page = visit.page
    visit.ask("thing?")
    page.keyboard.press("Escape")
    page.click("#blind-switch")
    page.wait_for_selector(".answer h2 b")
    assert sorted(name.split()[0] for name in visit.headings()) == ["base", "sft"]
    assert not page.is_visible("#votes")
    assert not page.is_visible("#keeping")
    visit.ask("another thing?")
    assert len(visit.answers()) == 4
    assert not page.is_visible("#votes")
    page.click("#blind-switch")  # which begins another conversation
    assert visit.answers() == []
    visit.ask("a third thing?")
    assert visit.headings() == ["Left", "Right"]
    assert page.is_visible("#votes")
    assert visit.wrong == []


def test_a_question_that_is_stopped_or_fails_is_no_part_of_the_conversation(server: Server, opened: Open) -> None:
    visit = Visit(opened, server)
    page = visit.page
    page.fill("#question", "count 500")
    page.keyboard.press("Enter")
    page.wait_for_selector(".text:has-text('0 1 2 3')")
    page.click("#stop")
    page.wait_for_selector("#send:not([hidden])")
    assert page.inner_text("#status").startswith("Stopped.")
    assert not page.is_visible("#votes")
    visit.ask("x" * 6_000)
    assert page.locator(".answer[data-failed]").count() == 2
    assert "too long" in page.inner_text("#talk li:last-child .remark >> nth=0")
    assert not page.is_visible("#votes")
    visit.ask("thing?")
    assert page.is_visible("#votes")
    assert visit.wrong == []


def test_the_page_is_used_with_the_keyboard_in_the_order_of_reading(server: Server, opened: Open) -> None:
    visit = Visit(opened, server)
    page = visit.page
    assert page.evaluate("document.activeElement.id") == "question"
    page.keyboard.type("thing?")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("1 2 3 n")
    page.keyboard.press("Enter")
    page.wait_for_selector("#votes:not([hidden])")
    assert page.inner_text(".question") == "thing?\n1 2 3 n"
    page.focus(".skip")
    order = []
    for _ in range(8):
        page.keyboard.press("Tab")
        order.append(page.evaluate("(e => e.id || e.dataset.choice)(document.activeElement)"))
    assert order == ["blind", "new", "left", "tie", "right", "question", "send", "keep"]
    page.focus("#keep")
    page.keyboard.press("Space")
    page.wait_for_selector("#notice[open]")
    page.keyboard.press("Escape")
    assert not page.is_checked("#keep")
    assert visit.wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(server: Server, opened: Open, width: int) -> None:
    visit = Visit(opened, server, width=width)
    visit.ask(f"say: {'x' * 900} {'long words ' * 40}")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    tops = [one.bounding_box()["y"] for one in visit.page.locator(".answer").all()]
    assert (tops[0] == tops[1]) == (width == 1280)
    assert visit.wrong == []


@pytest.mark.slow
def test_one_model_alone_has_no_votes_and_says_why(speaking: Start, opened: Open) -> None:
    server = speaking("--alone")
    visit = Visit(opened, server)
    assert "The suite names no parent of sft." in visit.page.inner_text("#welcome")
    visit.ask("thing?")
    assert visit.answers() == ["It follows from thing?, I think."]
    assert visit.headings() == ["sft"]
    for hidden in ("#votes", "#keeping", "#blind-switch"):
        assert not visit.page.is_visible(hidden)
    assert visit.wrong == []


@pytest.mark.slow
def test_a_page_behind_a_token_opens_by_its_link_and_asks_whoever_has_none(speaking: Start, opened: Open) -> None:
    server = speaking("--token", "a-token-of-some-length")
    page = opened(f"{server.url}/")
    page.wait_for_selector("#gate:not([hidden])")
    assert not page.is_visible("#dock")
    for token, opens in (("wrong-wrong-wrong-wrong", False), (server.token, True)):
        page.fill("#token", token)
        page.keyboard.press("Enter")
        page.wait_for_selector("#welcome:not([hidden])" if opens else "#gate:not([hidden])")
    linked = opened(f"{server.url}/#token={server.token}")
    linked.wait_for_selector("#welcome:not([hidden])")
    assert linked.url == f"{server.url}/"
    linked.fill("#question", "thing?")
    linked.keyboard.press("Enter")
    linked.wait_for_selector("#votes:not([hidden])")
