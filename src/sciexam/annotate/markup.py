"""What models and people wrote, as HTML that is safe to show: Markdown and formulas rendered, everything else as text.

`to_html` gives HTML that loads nothing and leads nowhere: images are shown as their source, links as text and target.
Formulas (`$..$`, `$$..$$`, `\\(..\\)`, `\\[..\\]`) become MathML, which browsers draw and screen readers read.

For the page's style sheet: `.scroll` is a block that may be too wide, a `div` or a `span`; `pre.plain` is a text shown
as it is; `.center` and `.right` are cells of a table, `.ruled` are cells of a matrix with a line on their left. A style
sheet has to draw what Chromium does not: `menclose[notation]`, `mtd[columnalign]` and `[mathvariant]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from html import escape
from typing import Any
from xml.etree.ElementTree import Element, tostring

import nh3
from latex2mathml.converter import convert_to_element
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock, table
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markupsafe import Markup

from sciexam.report.plain_text import plain_text

# Each limit bounds a time. What is beyond it is shown all the same: a text as plain text, a formula as its source.
LONGEST_TEXT = 60_000  # characters
LONGEST_FORMULA = 2_000  # characters
LONGEST_FORMULAS = 40_000  # characters of all formulas of a text
DEEPEST_BLOCK = 20  # blocks in one another; markdown-it leaves out what is deeper
DEEPEST_FORMULA = 60  # elements in one another

_HTML = "blockquote br code div em h4 h5 h6 hr li ol p pre s span strong table tbody td th thead tr ul"
_MATHML = (
    "math menclose mfrac mi mn mo mover mphantom mroot mrow mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr "
    "munder munderover"
)
TAGS = frozenset(_HTML.split() + _MATHML.split())
ATTRIBUTES = {"math": {"alttext"}, "mspace": {"width"}, "ol": {"start"}}
_FONT = {"mathvariant": {"normal", "bold", "italic", "bold-italic", "double-struck", "script", "fraktur", "monospace"}}
_TRUTH = {"true", "false"}
_SIZES = {"1.2em", "1.623em", "2.047em", "2.470em"}
_STRIKES = {"horizontalstrike", "updiagonalstrike", "downdiagonalstrike", "updiagonalstrike downdiagonalstrike"}
# A formula takes no colour, no shift and no size from the text: it could hide in the page, or paint over it.
VALUES: dict[str, dict[str, set[str]]] = {
    "div": {"tabindex": {"0"}},
    "math": {"display": {"block", "inline"}},
    "menclose": {"notation": {"box", *_STRIKES}},
    "mfrac": {"linethickness": {"0"}},
    "mi": _FONT,
    "mn": _FONT,
    "mo": {
        **_FONT,
        "fence": _TRUTH,
        "form": {"prefix", "postfix"},
        "maxsize": _SIZES,
        "minsize": _SIZES,
        "movablelimits": _TRUTH,
        "stretchy": _TRUTH,
    },
    "mover": {"accent": _TRUTH},
    "mstyle": {"displaystyle": _TRUTH, "scriptlevel": {"0", "1", "2"}},
    "mtable": {"displaystyle": _TRUTH},
    "mtd": {"columnalign": {"left", "center", "right"}},
    "mtext": _FONT,
    "span": {"tabindex": {"0"}},
}
CLASSES = {
    "div": {"scroll"},
    "mtd": {"ruled"},
    "pre": {"plain"},
    "span": {"scroll"},
    "td": {"center", "right"},
    "th": {"center", "right"},
}
_WIDTH = re.compile(r"\d?(\.\d+)?(em|ex|cm|in|pc)|\d?\d(\.\d+)?(mm|pt|px)")  # a negative one would shift

_CLOSERS = {"$": "$", "$$": "$$", r"\(": r"\)", r"\[": r"\]"}
_DISPLAYED = ("$$", r"\[")
# "$5 and $6", "US$5" and "$5 to 6$ a month" are money: as in pandoc, a formula touches both its dollars, and no digit
# follows. What begins like no sum may touch a word: "cm$^3$", "H$_2$O", "10$^\circ$C". All quantifiers are possessive:
# an unclosed formula costs one look at what follows it.
_DOLLAR = r"(?:(?<![A-Za-z0-9$])\$(?![\s$])|(?<=[A-Za-z0-9])\$(?=[\^_\\]))"
_INLINE = {
    "$$": re.compile(r"\$\$((?:[^$\\]|\\.|\$(?!\$))++)\$\$", re.DOTALL),
    "$": re.compile(_DOLLAR + r"((?:[^$\\]|\\.)++)(?<!\s)\$(?!\d)", re.DOTALL),
    r"\(": re.compile(r"\\\(((?:[^\\]|\\[^)])++)\\\)"),
    r"\[": re.compile(r"\\\[((?:[^\\]|\\[^\]])++)\\\]"),
}

# The first four define names, which can double what they are given, and \sideset does: 20 in one another take a minute.
_DOUBLING = re.compile(r"\\(def|newcommand|newenvironment|DeclareMathOperator|sideset)(?![a-zA-Z])")
# latex2mathml numbers `align` from (1) in each formula, and knows the others by these names.
_NAMES = {"align": "align*", "aligned": "align*", "eqnarray": "align*", "dcases": "cases"}
_NAMES |= dict.fromkeys(("gather", "gathered", "multline"), "displaylines")
_ENVIRONMENT = re.compile(rf"\\(begin|end)\s*\{{({'|'.join(_NAMES)})\*?\}}")
_COMMENT = re.compile(r"(?<!\\)%")
_REFERENCE = re.compile(r"&#x([0-9A-Fa-f]{1,6});")
_ESCAPED = re.compile(r"\\([#$%&_{}])")
_OPERANDS = {"mfrac": 2, "mover": 2, "mroot": 2, "msub": 2, "msup": 2, "munder": 2, "msubsup": 3, "munderover": 3}

_SCROLL = 'class="scroll" tabindex="0"'


def to_html(text: str) -> Markup:
    """`text` as a fragment of HTML. Any str is taken, and none raises or takes long.

    The text is CommonMark with tables, strikethrough and formulas. HTML in it, entities included, is text. A line break
    stays one. What exceeds the limits of this module is shown as plain text.
    """
    text = plain_text(text)
    html = _plain(text) if len(text) > LONGEST_TEXT else _rendered(text)
    # Targets of links and \unicode{202E} can still spell what plain_text takes out.
    return Markup(_cleaner().clean(plain_text(html)))  # noqa: S704


def _plain(text: str) -> str:
    """A browser drops a line break right after <pre>, so that none may stand there."""
    shown = escape(text.strip("\n"))
    return f'<pre class="plain">{shown}</pre>'


def _rendered(text: str) -> str:
    parser, seen = _parser(), dict[str, Any]()
    try:
        tokens = parser.parse(text, seen)
        if any(token.level > DEEPEST_BLOCK for token in tokens):
            return _plain(text)
        return str(parser.renderer.render(tokens, parser.options, seen))
    except Exception:  # whatever a strange text does to the parser, the text can be shown
        return _plain(text)


@cache
def _cleaner() -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=set(TAGS),
        attributes=ATTRIBUTES,
        tag_attribute_values=VALUES,
        allowed_classes=CLASSES,
        attribute_filter=_kept,
        generic_attribute_prefixes=set(),
        url_schemes=set(),
        link_rel=None,
    )


def _kept(tag: str, name: str, value: str) -> str | None:
    return None if name == "width" and not _WIDTH.fullmatch(value) else value


class _Markdown(MarkdownIt):
    """Targets are shown as they were written, whatever they are: nobody can follow them."""

    def validateLink(self, url: str) -> bool:  # noqa: N802
        return True

    def normalizeLink(self, url: str) -> str:  # noqa: N802
        return url


@cache
def _parser() -> MarkdownIt:
    # At maxNesting a block is left out: two more, so that one beyond DEEPEST_BLOCK is there to be seen.
    options = {"html": False, "breaks": True, "maxNesting": DEEPEST_BLOCK + 2}
    parser = _Markdown("commonmark", options, renderer_cls=_Html)
    parser.enable(["table", "strikethrough"])
    # What a definition of a reference says would not be shown; the other three are HTML, or become links.
    parser.disable(["reference", "autolink", "entity", "html_inline", "html_block"])
    parser.block.ruler.at("table", _whole_table, {"alt": ["paragraph"]})
    interrupted = ["paragraph", "blockquote", "list"]
    parser.block.ruler.before("fence", "display", _display, {"alt": interrupted})
    parser.inline.ruler.before("escape", "formula", _formula)  # `\(` is an escape otherwise
    parser.render("-")  # compiles the rules, before other threads see the parser
    return parser


def _formula(state: StateInline, silent: bool) -> bool:
    opener = next((opener for opener in _INLINE if state.src.startswith(opener, state.pos)), None)
    unclosed = state.env.setdefault("unclosed", set())
    if opener is None or (opener, state.src) in unclosed:
        return False
    found = _INLINE[opener].match(state.src, state.pos, state.posMax)
    if found is None:
        if opener.startswith("\\"):  # each would be searched to the end
            unclosed.add((opener, state.src))
        return False
    if not silent:
        token = state.push("formula", "math", 0)
        token.markup, token.content = opener, found[1]
    state.pos = found.end()
    return True


def _display(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A displayed formula on lines of its own; in a paragraph its lines could be lists, quotations or headings."""
    begin = state.bMarks[start] + state.tShift[start]
    opener = state.src[begin : begin + 2]
    if opener not in _DISPLAYED or state.is_code_block(start):
        return False
    unclosed = state.env.setdefault("unclosed lines", {})
    if start < unclosed.get(opener, 0):
        return False
    line, closed = _closing_line(state, start, end, _CLOSERS[opener])
    if not closed:
        unclosed[opener] = line
        return False
    if not silent:
        token = state.push("display", "math", 0)
        token.markup, token.map = opener, [start, line + 1]
        token.content = state.getLines(start, line + 1, state.sCount[start], False).strip()[2:-2]
    state.line = line + 1
    return True


def _closing_line(state: StateBlock, start: int, end: int, closer: str) -> tuple[int, bool]:
    """The line that `closer` ends, or the first one that cannot belong to the formula."""
    for line in range(start, end):
        if line > start and (state.isEmpty(line) or state.sCount[line] < state.blkIndent):
            return line, False
        text = state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]].rstrip()
        at = text.find(closer, 2 if line == start else 0)
        if at >= 0:
            return line, at == len(text) - 2
    return end, False


def _whole_table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A table; cells beyond its columns, which GFM leaves out, are text of the last cell."""
    first = len(state.tokens)
    if not table(state, start, end, silent):
        return False
    row: list[Token] = []
    for token in state.tokens[first:]:
        if token.type == "tr_open":
            row = []
        elif token.type == "inline":
            row.append(token)
        elif token.type == "tr_close" and row and row[0].map:
            row[-1].content = " | ".join([row[-1].content, *_cells(state, row[0].map[0])[len(row) :]])
    return True


def _cells(state: StateBlock, line: int) -> list[str]:
    text = state.src[state.bMarks[line] : state.eMarks[line]].strip()
    cells = re.split(r"(?<!\\)\|", text.removeprefix("|"))
    return [cell.strip() for cell in (cells if cells[-1] else cells[:-1])]


class _Html(RendererHTML):
    """The HTML of a token by the method of its type; markdown-it writes the others."""

    def heading_open(self, tokens: Sequence[Token], at: int, *_: Any) -> str:
        return f"<{_heading(tokens[at])}>"

    def heading_close(self, tokens: Sequence[Token], at: int, *_: Any) -> str:
        return f"</{_heading(tokens[at])}>\n"

    def fence(self, tokens: Sequence[Token], at: int, *_: Any) -> str:
        return _code_block(tokens[at].content)

    def code_block(self, tokens: Sequence[Token], at: int, *_: Any) -> str:
        return _code_block(tokens[at].content)

    def table_open(self, *_: Any) -> str:
        return f"<div {_SCROLL}><table>\n"

    def table_close(self, *_: Any) -> str:
        return "</table></div>\n"

    def th_open(self, tokens: Sequence[Token], at: int, *_: Any) -> str:
        return _cell(tokens[at])

    def td_open(self, tokens: Sequence[Token], at: int, *_: Any) -> str:
        return _cell(tokens[at])

    def link_open(self, *_: Any) -> str:
        return ""

    def link_close(self, tokens: Sequence[Token], at: int, *_: Any) -> str:
        opened = next(place for place in range(at, -1, -1) if tokens[place].type == "link_open")
        target = _target(tokens[opened], "href")
        shown = "".join(token.content for token in tokens[opened:at])
        return "" if target in ("", shown) else escape(f" ({target})")

    def image(self, tokens: Sequence[Token], at: int, *_: Any) -> str:
        return escape(f"![{tokens[at].content}]({_target(tokens[at], 'src')})")

    def formula(self, tokens: Sequence[Token], at: int, _: Any, seen: dict[str, Any]) -> str:
        token = tokens[at]
        mathml = _mathml(token, seen)
        if mathml is None:
            return f"<code>{escape(_source(token))}</code>"
        return f"<span {_SCROLL}>{mathml}</span>" if token.markup in _DISPLAYED else mathml

    def display(self, tokens: Sequence[Token], at: int, _: Any, seen: dict[str, Any]) -> str:
        mathml = _mathml(tokens[at], seen)
        return _code_block(_source(tokens[at])) if mathml is None else f"<div {_SCROLL}>{mathml}</div>\n"


def _heading(token: Token) -> str:
    """h4, h5 or h6: the page itself has h1 to h3, and native headings need no style sheet and no ARIA.

    A heading below the third level is an h6 too; few answers have any.
    """
    return f"h{min(int(token.tag[1]) + 3, 6)}"


def _code_block(text: str) -> str:
    return f"<div {_SCROLL}><pre><code>{escape(text)}</code></pre></div>\n"


def _cell(token: Token) -> str:
    alignment = str(token.attrs.get("style", "")).removeprefix("text-align:")
    return f'<{token.tag} class="{alignment}">' if alignment in CLASSES[token.tag] else f"<{token.tag}>"


def _target(token: Token, name: str) -> str:
    target, title = str(token.attrs.get(name, "")), token.attrs.get("title")
    return f'{target} "{title}"' if title else target


def _source(token: Token) -> str:
    return token.markup + token.content + _CLOSERS[token.markup]


def _mathml(token: Token, seen: dict[str, Any]) -> str | None:
    """None for a formula that is beyond a limit, or beyond latex2mathml."""
    latex = token.content.strip()
    seen["formulas"] = seen.get("formulas", 0) + len(latex)
    if len(latex) > LONGEST_FORMULA or seen["formulas"] > LONGEST_FORMULAS or _DOUBLING.search(latex):
        return None
    try:
        math = _drawn(latex, "block" if token.markup in _DISPLAYED else "inline")
        _settle(math)
    except Exception:  # LaTeX that it does not know ends in any of them, RecursionError among them
        return None
    math.set("alttext", latex)
    return tostring(math, encoding="unicode", short_empty_elements=False)


def _drawn(latex: str, display: str) -> Element:
    """The formula as elements. Lines and columns without an environment get one, as in MathJax."""
    latex = _COMMENT.sub(r"\%", latex)  # 50% of what people write is no comment
    latex = _ENVIRONMENT.sub(lambda found: rf"\{found[1]}{{{_NAMES[found[2]]}}}", latex)
    math = convert_to_element(latex, display=display)
    if any(_loose(math)):
        name = "align*" if "&" in latex else "displaylines"
        math = convert_to_element(rf"\begin{{{name}}}{latex}\end{{{name}}}", display=display)
    if any(_loose(math)):
        raise ValueError("an environment that latex2mathml does not know")
    return math


def _loose(math: Element) -> Iterator[bool]:
    """True for each & and each line break outside of a table, where they mean nothing to a browser."""
    for element in math.iter():
        yield (element.tag == "mi" and element.text == "&") or "linebreak" in element.attrib


def _settle(element: Element, depth: int = 0) -> None:
    """Make of latex2mathml's elements what it would make of them as text.

    It writes characters as references, and on the way to text unescapes everything, what the formula says included.
    """
    if depth > DEEPEST_FORMULA or len(element) != _OPERANDS.get(element.tag, len(element)):
        raise ValueError("too deep, or an operand is missing")
    if element.tag not in TAGS:  # without an element in their place, its children would be operands of its parent
        element.tag = "mrow"
    text = _REFERENCE.sub(lambda found: chr(int(found[1], 16)), element.text or "")
    element.text = _ESCAPED.sub(r"\1", text) if element.tag == "mtext" else text
    if element.tag == "mtable":
        _rule(element)
    for child in element:
        _settle(child, depth + 1)


def _rule(matrix: Element) -> None:
    lines = matrix.get("columnlines", "").split()
    for row in matrix:
        if len(lines) == len(row) - 1:
            for line, cell in zip(lines, row[1:], strict=True):
                if line == "solid":
                    cell.set("class", "ruled")
