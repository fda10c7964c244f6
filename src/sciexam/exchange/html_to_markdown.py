"""The HTML of a post as Markdown, by markdownify: code, formulas, lists, quotations, tables and links stay as they are.

What markdownify cannot know of posts is said here. A formula (MathJax) is left as it was written. Characters that mean
something in Markdown are escaped outside of formulas and code. An image is named, `[image: a circuit]`, and has no
address: a model would learn to invent one.
"""

from __future__ import annotations

import re
from functools import cache
from html import unescape
from typing import Any
from urllib.parse import urljoin

LONGEST = 100_000  # characters; a post has 30,000 at most. Beyond it, or the depth below, it is none
DEEPEST = 40  # elements in one another

# The length of a formula is bounded, so that one that is opened and never closed costs one look at what follows it.
_FORMULA = "|".join(
    (
        r"\$\$.{1,1500}?\$\$",
        r"\\\$.{1,1500}?\\\$",
        r"\$(?:[^$\\]|\\.){1,1500}+\$",
        r"\\\(.{1,1500}?\\\)",
        r"\\\[.{1,1500}?\\\]",
        r"\\begin\{(?P<name>\w{1,20}\*?)\}.{1,1500}?\\end\{(?P=name)\}",
    )
)
# What means something wherever it stands: emphasis, code, strikes, tags, links, entities, and what escapes these.
_SPECIAL = re.compile(
    rf"(?P<formula>{_FORMULA})"
    r"|(?P<special>[*`]|(?<![^\W_])_+|_+(?![^\W_])|~{2,}|<(?=[A-Za-z/!?])|\](?=[(\[:])|&(?=#?\w+;)"
    r"|\\(?=[!-#%-/:-@[-`{-~\n]|\Z))",
    re.DOTALL,
)
# What means something at the start of a line: headings, lists, quotations, rules.
_BLOCK = re.compile(
    rf"(?P<formula>{_FORMULA})"
    r"|^(?P<before> *)(?P<start>\#{1,6}(?=\s|$)|[-+](?=\s|$)|>|=(?==*\s*$)|-(?=-*\s*$)"
    r"|(?P<number>\d{1,9})(?P<dot>[.)])(?=\s|$))",
    re.DOTALL | re.MULTILINE,
)
_BREAKS = re.compile(r"(?:  \n){2,}")
_NO_NAME = ("", "enter image description here")
_ROUND = str.maketrans("[]", "()")  # brackets in a name would end it
_LANGUAGE = re.compile(r"lang(?:uage)?-([A-Za-z0-9+#_.-]{1,30})")
_TAG = re.compile(r"<[^<>]*>")  # `[^>]` would look through all that follows each of many `<`


def to_markdown(html: str, base: str = "") -> str | None:
    """A fragment of HTML as Markdown, or None where it is too long or too deep. Links are completed from `base`."""
    if len(html) > LONGEST:
        return None
    try:
        text: str = _converter(base).convert(html)
    except _TooDeep:
        return None
    return text.strip()


def words_of(html: str) -> str:
    """The text of HTML without its tags, fast: to compare posts by."""
    return unescape(_TAG.sub(" ", html))


class _TooDeep(Exception):
    """The HTML has more elements inside each other than the interpreter can follow."""


@cache
def _converter(base: str) -> Any:
    from bs4 import BeautifulSoup
    from markdownify import ATX, MarkdownConverter

    class PostConverter(MarkdownConverter):  # type: ignore[misc]
        def convert(self, html: str) -> str:
            soup = BeautifulSoup(html, "html.parser")
            if _depth(soup) > DEEPEST:
                raise _TooDeep
            return str(self.convert_soup(soup))

        def escape(self, text: str, parent_tags: set[str]) -> str:
            return _SPECIAL.sub(_escaped, text)

        def convert_p(self, el: Any, text: str, parent_tags: set[str]) -> str:
            lines = _BREAKS.sub("\n\n", _BLOCK.sub(_escaped_start, text))
            return str(super().convert_p(el, lines, parent_tags))

        def convert_img(self, el: Any, text: str, parent_tags: set[str]) -> str:
            name = " ".join((el.get("alt") or el.get("title") or "").split())
            return "[image]" if name in _NO_NAME else f"[image: {name.translate(_ROUND)}]"

        def convert_a(self, el: Any, text: str, parent_tags: set[str]) -> str:
            if re.fullmatch(r"\s*\[image[^\]]*\]\s*", text):
                return text
            if el.get("href"):
                el["href"] = _completed(base, el["href"])
            return str(super().convert_a(el, text, parent_tags))

        def convert_pre(self, el: Any, text: str, parent_tags: set[str]) -> str:
            fenced = str(super().convert_pre(el, text, parent_tags))
            longer = "`" * (max(map(len, re.findall(r"`{3,}", text)), default=2) - 2)
            # CommonMark 0.31, 4.5: a fence is longer than any in it. The first one and the last one are ours.
            before, opened, rest = fenced.partition("```")
            inside, closed, after = rest.rpartition("```")
            return f"{before}{opened}{longer}{inside}{closed}{longer}{after}" if fenced else ""

        convert_strike = MarkdownConverter.convert_del

    return PostConverter(
        heading_style=ATX, bullets="-", sub_symbol="<sub>", sup_symbol="<sup>", code_language_callback=_language
    )


def _depth(soup: Any) -> int:
    """How deep the elements lie in one another, counted without recursion."""
    deepest, waiting = 0, [(soup, 0)]
    while waiting:
        element, depth = waiting.pop()
        deepest = max(deepest, depth)
        waiting += [(child, depth + 1) for child in element.contents if hasattr(child, "contents")]
    return deepest


def _language(pre: Any) -> str:
    """The language that a block of code names: `<pre class="lang-py">`, or a class of the code in it."""
    classes = [*(pre.get("class") or []), *((pre.code.get("class") or []) if pre.code else [])]
    found = next((match[1] for one in classes if (match := _LANGUAGE.fullmatch(one))), "")
    return "" if found in ("none", "default") else found


def _completed(base: str, href: str) -> str:
    try:
        return urljoin(base, href) if base else href
    except ValueError:  # a link that is none
        return href


def _escaped(match: re.Match[str]) -> str:
    return match["formula"] or "".join(f"\\{one}" for one in match["special"])


def _escaped_start(match: re.Match[str]) -> str:
    if match["formula"]:
        return match["formula"]
    if match["number"]:
        return f"{match['before']}{match['number']}\\{match['dot']}"
    return f"{match['before']}\\{match['start']}"
