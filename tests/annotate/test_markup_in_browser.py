"""Formulas in a real browser: they are drawn."""

from __future__ import annotations

from typing import Any

from sciexam.annotate.markup import to_html


def test_a_formula_is_drawn_and_not_spelled(browser: Any) -> None:
    page = browser.new_page()
    page.set_content(to_html(r"$$\frac{a^2}{\sqrt{b}} < \begin{pmatrix}1 & 2\\3 & 4\end{pmatrix}$$"))
    over, under = (page.locator(f"mfrac > :nth-child({place})").bounding_box() for place in (1, 2))
    assert over is not None
    assert under is not None
    assert over["y"] + over["height"] <= under["y"]
    assert page.locator("mtd").count() == 4
    page.close()
