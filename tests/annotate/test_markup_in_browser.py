"""Payloads in a real browser, without a content security policy: what is shown asks for nothing and runs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from payloads import PAYLOADS

from sciexam.annotate.markup import to_html

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

PROVOKE = """() => document.querySelectorAll("body *").forEach(element => {
    for (const kind of ["mouseover", "mousedown", "click", "focus", "load", "toggle"])
        element.dispatchEvent(new MouseEvent(kind, {bubbles: true, cancelable: true}));
    if (element.focus) element.focus();
})"""


class Watched:
    """A page with a text in it, and what the text did: requests, dialogs, navigations, windows."""

    def __init__(self, browser: Browser, html: str) -> None:
        self.did: list[str] = []
        self.page: Page = browser.new_page()
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

    def _dialog(self, dialog: object) -> None:
        self.did.append("dialog")
        dialog.dismiss()  # type: ignore[attr-defined]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_rendered_payload_does_nothing(browser: Browser, payload: str) -> None:
    watched = Watched(browser, to_html(payload))
    assert watched.did == []
    assert watched.pwned is None
    assert watched.page.url == "about:blank"
    if payload[0] in '<&"':
        assert " ".join(watched.text.split()) == " ".join(payload.split())
    watched.page.close()


def test_all_payloads_together_do_nothing(browser: Browser) -> None:
    for html in (to_html("\n\n".join(PAYLOADS)), "".join(map(to_html, PAYLOADS))):
        watched = Watched(browser, html)
        assert watched.did == []
        assert watched.pwned is None
        watched.page.close()


@pytest.mark.parametrize("payload", PAYLOADS[:5])
def test_the_watch_sees_what_a_payload_does_as_html(browser: Browser, payload: str) -> None:
    watched = Watched(browser, payload)
    assert watched.did or watched.pwned == 1
    watched.page.close()


def test_a_formula_is_drawn_and_not_spelled(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content(to_html(r"$$\frac{a^2}{\sqrt{b}} < \begin{pmatrix}1 & 2\\3 & 4\end{pmatrix}$$"))
    over, under = (page.locator(f"mfrac > :nth-child({place})").bounding_box() for place in (1, 2))
    assert over is not None
    assert under is not None
    assert over["y"] + over["height"] <= under["y"]
    assert page.locator("mtd").count() == 4
    page.close()
