"""Markdown and formulas as HTML that is safe to show, whatever the text says."""

from __future__ import annotations

import re
import threading
from html.parser import HTMLParser

import nh3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payloads import PAYLOADS
from sciexam.annotate.markup import (
    ATTRIBUTES,
    CLASSES,
    DEEPEST_BLOCK,
    LONGEST_FORMULA,
    LONGEST_FORMULAS,
    LONGEST_TEXT,
    TAGS,
    VALUES,
    to_html,
)

ACTIVE = set(re.findall(r"\w+", "a audio base button embed form iframe img input link maction meta object"))
ACTIVE |= {"noscript", "script", "style", "svg", "template", "video"}
FRAGMENTS = (
    *PAYLOADS,
    *"*_~`[]()!<>#+-|$\\&'\"^{}\n\t= 1ax",
    *(
        r"\(",
        r"\)",
        r"\[",
        r"\]",
        "$$",
        "```",
        "\n\n",
        "\n- ",
        "\n1. ",
        "\n> ",
        "|-|\n",
        "    ",
        "](",
        "![",
        "&#x202e;",
    ),
    *(
        r"\frac{1}{2}",
        r"\begin{matrix}",
        r"\end{matrix}",
        r"\\",
        r"\mathop{",
        r"\hbox{$",
        r"\left(",
        r"\fbox{",
        r"\not",
    ),
    *("\u202e", "\x00", "\ud800", "\u00a0", "\r\n", "\x1b[2J", "é", "𝒳"),
)
texts = st.one_of(
    st.text(st.characters()),
    st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join),
    st.lists(st.sampled_from(FRAGMENTS), max_size=8).map(lambda parts: f"${''.join(parts)}$"),
)


class Seen(HTMLParser):
    """The tags, the attributes and the text of a fragment."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attributes]

    def handle_data(self, text: str) -> None:
        self.text += text

    def handle_comment(self, text: str) -> None:
        self.tags.append("<!--")

    def handle_decl(self, text: str) -> None:
        self.tags.append("<!")

    def handle_pi(self, text: str) -> None:
        self.tags.append("<?")


def seen(text: str) -> Seen:
    return Seen(str(to_html(text)))  # a Markup would escape what the parser adds to it


def is_allowed(tag: str, name: str, value: str | None) -> bool:
    if name == "class":
        return value in CLASSES[tag]
    return name in ATTRIBUTES.get(tag, ()) or value in VALUES.get(tag, {}).get(name, ())


def cleaned(html: str) -> str:
    return nh3.clean(
        html, tags=set(TAGS), attributes=ATTRIBUTES, tag_attribute_values=VALUES, allowed_classes=CLASSES, link_rel=None
    )


def mathml(formula: str) -> str:
    """The one formula of a text, without what names its source."""
    found = re.fullmatch(
        r"<p><math display=\"inline\" alttext=\"[^\"]*\"><mrow>(.*)</mrow></math></p>\n", to_html(formula)
    )
    assert found, to_html(formula)
    return found[1]


# Markdown


def test_emphasis_strikethrough_and_code_are_marked() -> None:
    html = to_html("*a* **b** ~~c~~ `d < e`")
    assert html == "<p><em>a</em> <strong>b</strong> <s>c</s> <code>d &lt; e</code></p>\n"


def test_a_line_break_stays_a_line_break() -> None:
    assert to_html("one\ntwo\r\nthree") == "<p>one<br>\ntwo<br>\nthree</p>\n"


def test_lists_nest_and_keep_their_first_number() -> None:
    assert to_html("3. a\n   - b\n4. c") == '<ol start="3">\n<li>a\n<ul>\n<li>b</li>\n</ul>\n</li>\n<li>c</li>\n</ol>\n'


def test_headings_stay_below_those_of_the_page() -> None:
    assert seen("# a\n## b\n### c\n###### d\ne\n===").tags == ["h4", "h5", "h6", "h6", "h4"]


def test_a_table_scrolls_and_aligns_its_cells_by_class() -> None:
    html = to_html("|a|b|c|\n|---|:-:|--:|\n|1|*2*|3|")
    assert html.startswith('<div class="scroll" tabindex="0"><table>\n<thead>')
    assert '<td>1</td>\n<td class="center"><em>2</em></td>\n<td class="right">3</td>' in html


def test_a_cell_beyond_the_columns_of_a_table_is_shown() -> None:
    html = to_html("> |a|b|\n> |-|-|\n> |1|2|3|x \\| y|\n> |4|5|")
    assert "<td>2 | 3 | x | y</td>" in html
    assert "<td>5</td>" in html


@pytest.mark.parametrize("code", ["```python\nif <b>:\n```", "~~~\nif <b>:\n~~~", "    if <b>:"])
def test_a_block_of_code_scrolls_and_is_text(code: str) -> None:
    assert to_html(code).strip().replace("\n", "") == (
        '<div class="scroll" tabindex="0"><pre><code>if &lt;b&gt;:</code></pre></div>'
    )


def test_a_link_is_its_text_and_its_target() -> None:
    assert to_html('[here](https://a.example/?b=1&c "d")') == '<p>here (https://a.example/?b=1&amp;c "d")</p>\n'
    assert to_html("[https://a.example](https://a.example)") == "<p>https://a.example</p>\n"
    assert to_html("[a](b<i>c)") == "<p>a (b&lt;i&gt;c)</p>\n"
    assert to_html("[*a*](<b c>) [d]()") == "<p><em>a</em> (b c) d</p>\n"


def test_links_by_reference_and_by_address_are_text() -> None:
    text = "<https://a.example/> <me@a.example> https://a.example [a][b]\n\n[b]: https://a.example"
    assert seen(text).tags == ["p", "p"]
    assert seen(text).text.split() == text.split()


def test_an_image_is_its_source() -> None:
    assert to_html('![a *b*](https://a.example/i.png "t")') == '<p>![a *b*](https://a.example/i.png "t")</p>\n'
    assert to_html("![<i>](a<i>)") == "<p>![&lt;i&gt;](a&lt;i&gt;)</p>\n"


def test_html_is_text_character_by_character() -> None:
    text = "<b>bold</b> &lt; &amp;amp; <!-- c --> <br/>\n\n<div>\nx\n</div>"
    assert "b" not in seen(text).tags
    assert seen(text).text.split() == text.split()


def test_what_acts_unseen_is_made_visible() -> None:
    assert seen("a\x1b[2J \x00 \u202e \ud800").text == "a␛[2J ␀ [U+202E] \ufffd\n"
    assert to_html("a\u2028b") == "<p>a<br>\nb</p>\n"
    assert seen("[a](b&#x202e;c) $\\unicode{202E}$").text == "a (b[U+202E]c) [U+202E]\n"


def test_no_text_is_no_html() -> None:
    assert to_html("") == to_html(" \n ") == ""


# Formulas


@pytest.mark.parametrize("formula", ["$a_1$", r"\(a_1\)", r"\( a_1 \)"])
def test_a_formula_in_a_line_is_mathml_with_its_source(formula: str) -> None:
    assert to_html(f"so {formula}.") == (
        '<p>so <math display="inline" alttext="a_1"><mrow><msub><mi>a</mi><mn>1</mn></msub></mrow></math>.</p>\n'
    )


@pytest.mark.parametrize("formula", ["$$a$$", r"\[a\]", "$$\na\n$$", "\\[\na\n\\]", "   \\[ a\n   \\]  "])
def test_a_displayed_formula_stands_in_a_block_that_scrolls(formula: str) -> None:
    block = '<div class="scroll" tabindex="0"><math display="block" alttext="a"><mrow><mi>a</mi></mrow></math></div>\n'
    assert to_html(f"so\n{formula}\nand") == f"<p>so</p>\n{block}<p>and</p>\n"


def test_a_displayed_formula_inside_a_line_is_displayed() -> None:
    assert '<p>so <span class="scroll" tabindex="0"><math display="block"' in to_html("so $$a$$ and")
    assert "<p>so <span" in to_html(r"so \[a\] and")


def test_lines_of_a_formula_are_neither_lists_nor_quotations_nor_headings() -> None:
    for line in ("- b", "+ b", "> b", "# b", "1. b", "===", "    b"):
        assert set(seen(f"$$\na\n{line}\n$$").tags) <= {"div", "math", "mrow", "mi", "mo", "mn"}, line


def test_a_displayed_formula_belongs_to_its_item_and_its_quotation() -> None:
    assert seen("1. a\n   $$\n   b\n   $$\n2. c").tags[:4] == ["ol", "li", "div", "math"]
    assert seen("> $$\n> b\n> $$").tags[:3] == ["blockquote", "div", "math"]
    assert "math" not in seen("- $$\n  b\n\n$$ c").tags


def test_a_formula_comes_before_escapes_and_emphasis() -> None:
    html = to_html(r"$a_1*b$ and \(c*d_2\)")
    assert html.count("<math") == 2
    assert "<em>" not in html


def test_a_formula_in_code_is_code() -> None:
    assert to_html(r"`$a$ \(b\)`") == "<p><code>$a$ \\(b\\)</code></p>\n"


@pytest.mark.parametrize(
    "text",
    [
        "$5 and $6",
        "it cost $5, then $6.",
        "US$5 or A$6",
        "5$ or 6$",
        "$5-$10",
        "**$5** and **$6**",
        "$ a $",
        "a $ b",
        "$5",
        r"\$a\$",
        "$$",
        "$$$$",
        r"\(a",
        r"\\(a\\)",
        "$$a",
        "$5M (or $6M)",
        "it costs 5$ or 6$^",
        "US$5_000 and US$6_000",
    ],
)
def test_money_and_lone_delimiters_are_text(text: str) -> None:
    assert "math" not in seen(text).tags


def test_a_formula_may_touch_words_of_a_language_without_spaces() -> None:
    assert "math" in seen("函数$f$是").tags


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cm$^3$", "cm3"),
        ("H$_2$O", "H2O"),
        (r"at 10$^\circ$C", "at 10∘C"),
        ("5$^{th}$ and x$_i$", "5th and xi"),
        (r"a$\to$b costs $5 and $6", "a→b costs $5 and $6"),
    ],
)
def test_a_power_or_an_index_may_touch_a_word(text: str, shown: str) -> None:
    assert "math" in seen(text).tags
    assert seen(text).text.strip() == shown


def test_relations_are_not_tags() -> None:
    assert mathml("$a<b>c$") == "<mi>a</mi><mo>&lt;</mo><mi>b</mi><mo>&gt;</mo><mi>c</mi>"


def test_ampersands_separate_the_cells_of_a_matrix() -> None:
    html = mathml(r"$\begin{matrix}1&2\\3&4\end{matrix}$")
    assert html == (
        "<mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>2</mn></mtd></mtr>"
        "<mtr><mtd><mn>3</mn></mtd><mtd><mn>4</mn></mtd></mtr></mtable>"
    )


def test_the_line_of_an_augmented_matrix_is_kept() -> None:
    html = mathml(r"$\begin{array}{cc|c}1&2&3\\4&5&6\end{array}$")
    assert re.findall(r'<mtd columnalign="center"( class="ruled")?>', html) == ["", "", ' class="ruled"'] * 2


@pytest.mark.parametrize("name", ["align", "align*", "aligned", "eqnarray", "split", "gather", "gathered"])
def test_environments_of_several_lines_have_lines_and_no_numbers_of_their_own(name: str) -> None:
    shown = seen(rf"\[\begin{{{name}}}a\\b\end{{{name}}}\]")
    assert shown.tags.count("mtr") == 2
    assert "1" not in shown.text


@pytest.mark.parametrize("formula", [r"$$a \\ b$$", r"$$a &= b \\ &= c$$"])
def test_lines_without_an_environment_are_lines(formula: str) -> None:
    assert seen(formula).tags.count("mtr") == 2


def test_characters_that_latex_escapes_are_shown_bare() -> None:
    assert seen(r"$\text{\$5, 50\%, a\_b} + 50\%$").text == "$5,\u00a050%,\u00a0a_b+50%\n"


def test_a_per_cent_sign_hides_nothing() -> None:
    assert seen("$50% a$").text == "50%a\n"


def test_an_operator_keeps_its_operands() -> None:
    assert re.search(r"<mover>.*</mstyle><mrow>.*</mrow></mover>", mathml(r"$\xrightarrow{f}$"))


@pytest.mark.parametrize(
    "formula",
    [
        r"$\frac{1}$",
        r"$\left(a$",
        r"$a^b^c$",
        r"$\begin{foo}a&b\end{foo}$",
        r"$\begin{cases}a$",
        "$\\text{&#x110000;}$",
        "$" + "{" * 1500 + "}" * 400 + "$",
        "$" + r"\sqrt{" * 70 + "}" * 70 + "$",
        "$" + "a" * (LONGEST_FORMULA + 1) + "$",
        r"\( \)",
    ],
)
def test_a_formula_that_cannot_be_drawn_is_its_source(formula: str) -> None:
    assert seen(formula).tags == ["p", "code"]
    assert seen(formula).text == formula + "\n"


def test_a_displayed_formula_that_cannot_be_drawn_keeps_its_lines() -> None:
    html = to_html("$$\n\\frac{1} \\\\\n< 2\n$$")
    assert html == '<div class="scroll" tabindex="0"><pre><code>$$\n\\frac{1} \\\\\n&lt; 2\n$$</code></pre></div>\n'


def test_formulas_that_would_double_without_end_are_not_tried() -> None:
    nested = "x"
    for _ in range(40):
        nested = rf"\sideset{{_1}}{{_2}}{{{nested}}}"
    laughs = r"\def\a#1{#1#1#1#1}" + r"\a{" * 60 + "x" + "}" * 60
    for formula in (
        nested,
        laughs,
        r"\newcommand{\b}{x}\b",
        r"\DeclareMathOperator{\b}{x}",
        r"\newenvironment{b}{x}{y}",
    ):
        assert seen(f"${formula}$").tags == ["p", "code"]


def test_formulas_beyond_the_sum_for_one_text_are_their_source() -> None:
    formula = "$" + "a" * 1000 + "$ "
    tags = seen(formula * (LONGEST_FORMULAS // 1000 + 2)).tags
    assert tags.count("math") == LONGEST_FORMULAS // 1000
    assert tags.count("code") == 2


# Safety


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_becomes_nothing_that_acts(payload: str) -> None:
    shown = seen(payload)
    assert not set(shown.tags) & ACTIVE
    assert {name for _, name, _ in shown.attributes} <= {"alttext", "class", "display", "tabindex"}


@pytest.mark.parametrize("payload", [payload for payload in PAYLOADS if payload[0] in '<&"'])
def test_a_payload_of_html_is_shown_as_it_was_written(payload: str) -> None:
    assert " ".join(seen(payload).text.split()) == " ".join(payload.split())


def test_what_a_formula_says_in_html_is_its_text() -> None:
    for text in ("<script>alert(1)</script>", "</math><img>", "&lt;b&gt;", "a & b"):
        assert seen(rf"$\text{{{text}}}$").text == text.replace(" ", "\u00a0") + "\n"


def test_a_formula_takes_no_target_no_style_no_colour_and_no_shift_from_its_text() -> None:
    for formula in (
        r"\href{https://evil.example/}{x}",
        r"\style{position:fixed}{x}",
        r"\class{plain}{x}",
        r"\color{white}{x}",
        r"\textcolor{white}{x}",
        r"\colorbox{red}{x}",
        r"\hspace{-50em}x",
        r"\hspace{50em}x",
        r"\raise{50em}{x}",
        r"\rlap{x}",
        r"\Huge x",
        r"\rule{1em}{99em}x",
        r"\genfrac{}{}{99em}{}{x}{}",
    ):
        attributes = [attribute[1:] for attribute in seen(f"${formula}$").attributes]
        names = {
            name for name, value in attributes if (name, value) not in (("displaystyle", "true"), ("width", "1em"))
        }
        assert names <= {"display", "alttext", "scriptlevel", "displaystyle"}, formula
        assert "x" in seen(f"${formula}$").text


def test_spaces_in_a_formula_are_kept() -> None:
    assert mathml(r"$a\quad b\hspace{2cm}c$").count('<mspace width="') == 2


@given(texts)
@example("".join(PAYLOADS))
@example("\n".join(PAYLOADS))
@example(r"$\mathop{x<y}\fbox{$\hbox{<b>}$}$")
def test_any_text_becomes_allowed_tags_and_attributes_that_the_cleaner_leaves_alone(text: str) -> None:
    html = str(to_html(text))
    shown = Seen(html)
    assert set(shown.tags) <= TAGS
    assert [attribute for attribute in shown.attributes if not is_allowed(*attribute)] == []
    assert cleaned(html) == html


def test_the_allow_list_holds_nothing_that_loads_leads_or_runs() -> None:
    assert not TAGS & ACTIVE
    names = {name for table in (ATTRIBUTES, VALUES) for tag in table for name in table[tag]}
    assert not [name for name in names if name.startswith("on") or name in ("href", "src", "style", "id", "name")]


# Limits

DEEP = {
    "quotations": ">" * 20_000 + " end",
    "lists": "- " * 20_000 + "end",
    "numbers": "1. " * 20_000 + "end",
}
WIDE = {
    "brackets": "[" * 50_000,
    "images": "![[](" * 12_000,
    "emphasis": "*a " * 20_000,
    "stars and underscores": "*_" * 30_000,
    "dollars": "$" * 60_000,
    "open formulas": r"\(" * 30_000,
    "open formulas and an escaped end": r"\(" * 29_990 + r"\\)",
    "open lines": "\\[\n" * 20_000,
    "open lines in an item": "- \\[\n" + "  \\[\n" * 11_000 + "  \\] x",
    "short formulas": "$a$ " * 15_000,
    "link openers": "[$" * 30_000,
    "backticks": "".join("`" * n + " " for n in range(340)),
    "tables": "|a|\n|-|\n" * 7_500,
    "cells": f"|{'a|' * 200}\n|{'-|' * 200}\n" + "|\n" * 29_000,
    "items": "- a\n" * 15_000,
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_what_the_parser_would_leave_out_is_shown_as_it_is(text: str) -> None:
    assert seen(text).tags == ["pre"]
    assert seen(text).text == text


def test_as_deep_as_people_write_is_markdown() -> None:
    text = "".join("  " * depth + f"- level {depth}\n" for depth in range(DEEPEST_BLOCK // 2 - 1))
    assert seen(text).tags.count("ul") == DEEPEST_BLOCK // 2 - 1


@pytest.mark.parametrize("text", WIDE.values(), ids=WIDE)
def test_a_text_made_to_take_long_is_shown(text: str) -> None:
    assert len(text) <= LONGEST_TEXT
    assert to_html(text)


def test_a_text_that_is_too_long_is_shown_as_it_is() -> None:
    text = "*a* <b>\n" * (LONGEST_TEXT // 8 + 1)
    assert to_html(text).startswith('<pre class="plain">*a* &lt;b&gt;\n')
    assert seen(text).text == text.strip("\n")
    assert "<em>" in to_html(text[: LONGEST_TEXT - 8])


def test_five_megabytes_are_shown_as_they_are() -> None:
    assert to_html("\n\n<&" * 1_250_000).count("&lt;") == 1_250_000


def test_threads_share_the_parser() -> None:
    text = "*a* $b_1$ <script>\n\n|a|\n|-|\n|1|"
    shown: list[str] = []
    threads = [threading.Thread(target=lambda: shown.extend(to_html(text) for _ in range(50))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shown == [to_html(text)] * 200
