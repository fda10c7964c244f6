"""The HTML of posts becomes Markdown that says the same."""

from __future__ import annotations

import re
import time
from html import escape, unescape

import pytest

pytest.importorskip("markdownify")

from dump import CODE, FORMULA, LISTS
from hypothesis import assume, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from sciexam.exchange.html_to_markdown import LONGEST, to_markdown, words_of

BASE = "https://cooking.stackexchange.com/"


def test_code_keeps_its_lines_and_its_language() -> None:
    assert to_markdown(CODE) == (
        "I keep a list of doughs:\n\n```py\ndef water(flour):\n    # 70 % & no more\n    return flour * 0.7\n\n\n"
        "print(water(500) < 400)\n```\n\nWhy is `water(500)` not enough for *rye*?"
    )


def test_formulas_are_left_as_they_were_written() -> None:
    assert to_markdown(FORMULA) == (
        "Heat flows as $q = -k \\nabla T_1 * a_i$, so the time is\n\n"
        "$$\nt \\approx \\frac{d^2}{\\alpha} \\\\\n- c_0\n$$\n\nIs that right for a roast of 2 kg?"
    )


def test_lists_quotations_links_and_images_stay() -> None:
    assert to_markdown(LISTS, BASE) == (
        "Two ways:\n\n1. Cold: `12` hours.\n2. Warm:\n\n   - fold\n   - rest\n\n"
        "> Time makes bread, says [Ann](https://cooking.stackexchange.com/users/7/ann)\n\n[image: A loaf cut in half]"
    )


CASES = {
    "escapes": (
        "<p>a*b* __init__ snake_case &lt;div&gt; `x`</p>",
        "a\\*b\\* \\_\\_init\\_\\_ snake_case \\<div> \\`x\\`",
    ),
    "no list": (
        "<p>1. one</p><p>- two</p><p># three</p><p>&gt; four</p>",
        "1\\. one\n\n\\- two\n\n\\# three\n\n\\> four",
    ),
    "no definition": ("<p>[a]: b and [a](b)</p>", "[a\\]: b and [a\\](b)"),
    "inside a line": ("<p>foo <code>x</code> - bar # 1. baz</p>", "foo `x` - bar # 1. baz"),
    "a fence in code": ("<pre><code>```\nx\n```\n</code></pre>", "````\n```\nx\n```\n````"),
    "a tick in code": ("<p><code>a`b</code></p>", "`` a`b ``"),
    "indices": ("<p>H<sub>2</sub>O, x<sup>2</sup></p>", "H<sub>2</sub>O, x<sup>2</sup>"),
    "a table": (
        "<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>",
        "| a |\n| --- |\n| 1 |",
    ),
    "other formulas": (r"<p>\(a_1*b*c\), \$d_1*e*f\$, \[g*h*i\]</p>", r"\(a_1*b*c\), \$d_1*e*f\$, \[g*h*i\]"),
    "breaks": ("<p>a<br>b<br><br>c</p>", "a  \nb\n\nc"),
    "nameless images": ('<p>see <img src="x" alt="enter image description here"></p>', "see [image]"),
    "brackets in a name": ('<p><img src="x" alt="a [b]"></p>', "[image: a (b)]"),
    "a script": ("<p>x</p><script>alert(1)</script>", "x"),
    "nothing": ("", ""),
}


@pytest.mark.parametrize(("html", "markdown"), CASES.values(), ids=CASES)
def test_a_construct_is_written_as_markdown_has_it(html: str, markdown: str) -> None:
    assert to_markdown(html) == markdown


def test_what_is_too_deep_or_too_long_is_no_post() -> None:
    assert to_markdown("<div>" * 3000 + "x") is None
    assert to_markdown("x" * (LONGEST + 1)) is None


@given(st.text("ab *_`<>#-+=~.1)\\[]:(&;!\n", max_size=40))
def test_a_text_reads_the_same_after_a_renderer(text: str) -> None:
    """CommonMark makes of it paragraphs with the same words, and nothing else. Formulas are left to who draws them."""
    assume(not re.search(r"\\[(\[]", text))
    rendered = MarkdownIt("commonmark").enable("strikethrough").render(to_markdown(f"<p>{escape(text)}</p>") or "")
    assert unescape(re.sub(r"</?p>|<br />", "", rendered)).split() == text.split(), rendered


@pytest.mark.parametrize("piece", [r"\(", "$a ", r"\begin{a}", "<li>a", "*", "<b>", "`", "_"])
def test_no_text_takes_long(piece: str) -> None:
    begun = time.process_time()
    to_markdown("<p>" + piece * (LONGEST // 4 // len(piece)))
    assert time.process_time() - begun < 5


def test_words_are_those_without_tags() -> None:
    assert words_of("<p>a &lt; <b>b</b></p>").split() == ["a", "<", "b"]


def test_the_words_of_many_open_brackets_take_no_longer_than_their_number() -> None:
    begun = time.process_time()
    assert words_of("a <b>c</b> " + "<" * 200_000).startswith("a  c  <")
    assert time.process_time() - begun < 2
