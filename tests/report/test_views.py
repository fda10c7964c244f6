"""The three views of a report: what they say, what they cannot be made to say, and how large they grow."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from sciexam.report import packing, pages, wording
from sciexam.report.calls import Calls
from sciexam.report.caveats import _of_opposites
from sciexam.report.console import print_report
from sciexam.report.evidence import NOT_ASKED
from sciexam.report.html import to_html
from sciexam.report.markdown import escape, to_markdown
from sciexam.report.plain_text import one_line, plain_text
from sciexam.report.record import Answer, Category, Item, Length, Opinion, Outcome, Pair, Pairs, Power, Report, Step
from sciexam.stats import Estimate, Undefined, conclude

PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><a href='javascript:alert(1)'>",
    "javascript:alert(1)",
    "data:text/html;base64,PHNjcmlwdD4=",
    "</style><style>body{background:url(https://evil.example/x)}",
    "<base href=https://evil.example/>",
    '<meta http-equiv=refresh content="0;url=https://evil.example">',
    "<form action=https://evil.example><input name=q>",
    '<iframe srcdoc="<script>alert(1)</script>">',
    "\"><b onmouseover=alert(1) x='",
    "--></title></textarea></details></article><h1>",
    "{{ 7 * 7 }}{% for x in y %}{# gone #}",
    "\x1b[31mred\x1b]8;;https://evil.example\x07link\x1b]8;;\x07\x9b2J",
    "a\x00b\x08\x7f",
    "\u202egnp.exe\u2066\u200f",
    "\ud800half\udfff",
    "line\r\nbreak\n\n- item\n# heading\n    code\n| a | b |\n|---|---|",
    "| pipe | cell |",
    "`code` **bold** _em_ ~~gone~~ [link](https://evil.example) ![i](https://evil.example) $x$ &lt;",
    "[x]: https://evil.example",
    "<https://evil.example> https://evil.example www.evil.example",
    "1. one",
    "[ ] - + = # > task",
    "[bold red]x[/bold red] [/nope] [link=https://evil.example]y[/link] :smile:",
]

ALMOST = Estimate(0.625, 0.443, 0.777, 0.95, 24, "beta interval on the effective number of prompts")
CONTROLLED = Estimate(0.55, 0.31, 0.77, 0.95, 24, "Clopper-Pearson interval at the effective n of the whole fit")
SWEEP = Estimate(1.0, 0.858, 1.0, 0.95, 24, "beta interval on the effective number of prompts")


def made(mark: str = "", **changed: object) -> Report:
    """A report of two contestants, in which every text that anyone else could have written begins with `mark`."""
    base, sft, judge = (mark + name for name in ("base", "sft", "judge"))
    pair = Pair(
        a=base,
        b=sft,
        judge=judge,
        judge_is=mark + "an LLM judge",
        raters=(mark + "rater",),
        policy="mean",
        conclusion="undecided",
        win_rate=ALMOST,
        bounds=(0.517, 0.689),
        wins=11,
        ties=8,
        losses=5,
        p_value=0.2113,
        p_holm=0.4226,
        preference=Estimate(0.92, 0.16, 1.59, 0.95, 24, "beta interval on the effective number of prompts"),
        order_consistency=Estimate(0.79, 0.58, 0.93, 0.95, 24, "beta interval on the effective number of prompts"),
        position_bias=Undefined(mark + "every prompt was shown in the same order"),
        length=Length(82.3, 128.9, 46.6, Undefined(mark + "no prompt has both"), CONTROLLED),
        power=Power(
            mark + "With 24 prompts like these a win rate of 0.77 is found.", ((20, 0.79), (24, 0.77), (50, 0.69))
        ),
        planned=31,
        used=24,
        invalid=3,
        failed=2,
        skipped=2,
        reasons={mark + "no verdict line": 3, mark + "timeout": 2, mark + "no answer": 2},
        categories=(
            Category(mark + "physics", Estimate(0.25, 0.1, 0.6, 0.95, 12, "t interval"), 16, 12),
            Category(mark + "biology", Undefined(mark + "no prompt was used"), 15, 0),
        ),
    )
    items = (
        Item(
            prompt=mark + "p001",
            text=mark + "Why is the sky blue?",
            category=mark + "physics",
            reference=mark + "Rayleigh scattering",
            answers=(
                Answer(base, 0, mark + "The sea is blue.", 4, "ok", "", True),
                Answer(sft, 0, mark + "Air scatters blue most.", 4, "invalid", mark + "refused", False),
            ),
            opinions=(
                Opinion(judge, judge, base, sft, 0, sft, "clear", 0.83, mark + "B names the cause", "ok", ""),
                Opinion(judge, mark + "rater", sft, base, 0, "tie", None, None, mark + "Both do", "ok", ""),
                Opinion(judge, judge, sft, base, 0, None, None, None, "", "invalid", mark + "no verdict line"),
            ),
        ),
        Item(mark + "p002", mark + "Nobody answered this one", None, None, (), ()),
        Item(mark + "p003", mark + "Nor this", None, None, (Answer(base, 0, "", 0, "failed", mark + "t", False),), ()),
    )
    return replace(
        Report(
            suite=mark + "science",
            run=mark + "3f9a2c71",
            rubric=mark + "explanation",
            contestants=(base, sft),
            notes={sft: mark + "specimen answers"},
            prompts=31,
            by=mark + "category",
            level=0.95,
            margin=0.05,
            pairs=Pairs([pair]),
            calls=Calls(62, 5, 41234, 6120, 0.134),
            caveats=(mark + "few prompts", mark + "the judge is not validated"),
            items=items,
        ),
        **changed,
    )


def with_pair(report: Report, **changed: object) -> Report:
    return replace(report, pairs=Pairs([replace(pair, **changed) for pair in report.pairs]))


MANIFEST = {
    "argv": ["/usr/bin/sciexam", "compare", "base", "sft"],
    "started": "2026-01-31T12:00:00+00:00",
    "packages": {"sciexam": "0.1.0", "numpy": "2.4.0"},
    "commit": "c0ffee",
    "plan": {
        "suite": {
            "seed": 7,
            "generation": {"max_tokens": 512},
            "judges": {"judge": {"backend": "openai", "top_p": None}},
        },
        "models": {"base": "1" * 64},
        "digests": {"suite": "2" * 64, "rubric": "3" * 64, "lineage": {"base": "4" * 64}},
        "raters": [{"name": "judge", "bench": "judge", "digest": "5" * 64, "orders": "both"}],
        "policy": "mean",
    },
}
SVG = {
    "svg",
    "g",
    "path",
    "text",
    "tspan",
    "rect",
    "circle",
    "line",
    "defs",
    "use",
    "clippath",
    "title",
    "polyline",
    "style",
}


def undefined_report() -> Report:
    none = Undefined("no prompt has a usable verdict")
    report = with_pair(
        made(calls=Calls(4, 0, 10, 10, None), margin=None),
        win_rate=none,
        bounds=None,
        p_value=None,
        p_holm=None,
        preference=none,
        order_consistency=Undefined("no prompt was judged in both orders"),
        position_bias=none,
        length=None,
        wins=0,
        ties=0,
        losses=0,
        used=0,
    )
    return report


def printed(report: Report, width: int = 80, path: Path | None = None, **options: object) -> str:
    console = Console(file=io.StringIO(), width=width, **options)
    print_report(report, console, path)
    return console.file.getvalue()


# What backticks in an answer may make of the page: elements without any attribute that the text could choose.
CODE_PASSAGES = [("code", {}), *(("code", {"class": kind, "dir": "ltr"}) for kind in ("code", "block"))]


class Page(HTMLParser):
    """The tags of a page with their attributes, its text, and the text inside `style`."""

    def __init__(self, source: str):
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def shape(self) -> list[tuple[str, dict[str, str | None]]]:
        """Every tag with every attribute but the one that holds a sentence for a screen reader; no passages of code."""
        tags = [one for one in self.tags if one not in CODE_PASSAGES]
        return [(tag, {k: v if k != "aria-label" else "" for k, v in attrs.items()}) for tag, attrs in tags]


# ---------------------------------------------------------------- nothing that anyone wrote is markup


FIGURES = re.compile(r"<figure>.*?</figure>", re.DOTALL)


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take time, and a name that is longer or shorter moves what is drawn; tests/report/figures looks at them."""
    monkeypatch.setattr(pages, "FEWEST", 1000)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_text_changes_the_tags_or_attributes_of_the_page(payload: str) -> None:
    hostile, innocent = (Page(to_html(made(one), MANIFEST)) for one in (payload, ""))
    assert hostile.shape == innocent.shape
    assert plain_text(payload) in hostile.text


def test_no_text_brings_another_element_into_a_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "FEWEST", 10)
    drawn = FIGURES.findall(to_html(made("".join(PAYLOADS))))
    assert len(drawn) == 2, "one by category, one for what more prompts would find"
    tags = {tag for tag, _ in Page("".join(drawn)).tags}
    assert tags <= {*SVG, "figure", "figcaption", "h3", "div", "details", "summary", "ul", "li"}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_text_changes_the_tags_or_attributes_of_the_articles_that_are_packed(
    payload: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "OPEN_BYTES", 0)
    hostile, innocent = to_html(made(payload)), to_html(made())
    assert Page(hostile).shape == Page(innocent).shape
    assert Page(unpacked(hostile)).shape == Page(unpacked(innocent)).shape
    assert plain_text(payload + "The sea is blue.") in Page(unpacked(hostile)).text
    assert payload + "The sea is blue." not in hostile


def unpacked(source: str) -> str:
    """The articles that a page holds compressed."""
    blocks = re.findall(r'<script type="text/plain" data-prompts="[\d ]+">([A-Za-z0-9+/=]+)</script>', source)
    return "".join(zlib.decompress(base64.b64decode(block)).decode() for block in blocks)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_every_page_can_be_written_and_holds_no_control_character(payload: str) -> None:
    for view in (to_html(made(payload)), to_markdown(made(payload))):
        view.encode("utf-8")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", view)


def test_the_page_asks_for_nothing_outside_itself_and_runs_nothing_but_its_script() -> None:
    source = to_html(made("".join(PAYLOADS)), MANIFEST)
    page = Page(source)
    names = {tag for tag, _ in page.tags}
    assert not names & {"link", "img", "iframe", "object", "embed", "base", "form", "video", "audio", "template"}
    assert [attrs for tag, attrs in page.tags if tag == "script"] == [{}]
    for tag, attrs in page.tags:
        assert not {"src", "srcset", "action", "formaction", "data", "poster", "srcdoc"} & attrs.keys()
        assert not [name for name in attrs if name.startswith("on")], tag
        assert "href" not in attrs or re.fullmatch(r"#[a-z]+\d*", attrs["href"] or "")
    style = source[source.index("<style>") : source.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_the_page_forbids_all_but_its_own_style_and_names_no_referrer() -> None:
    metas = [attrs for tag, attrs in Page(to_html(made())).tags if tag == "meta"]
    policy = next(attrs["content"] for attrs in metas if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    (script,) = re.findall(r"<script>(.*?)</script>", to_html(made()), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    assert {"name": "referrer", "content": "no-referrer"} in metas


def test_every_link_in_the_page_leads_to_a_place_in_it() -> None:
    tags = Page(to_html(made())).tags
    places = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(places) == len(set(places))
    assert {(attrs["href"] or "")[1:] for tag, attrs in tags if tag == "a"} <= set(places)


def test_a_page_loads_itself_again_only_while_it_is_watched() -> None:
    refreshing = re.compile(r'<meta http-equiv="refresh" content="(\d+)">')
    assert not refreshing.search(to_html(made()))
    running = to_html(replace(made(), missing=1200), refresh=5)
    assert refreshing.findall(running) == ["5"]
    shown = " ".join(Page(running).text.split())
    assert "So far. 1,200 verdicts are still missing. While the comparison is watched, this page loads" in shown
    assert "So far" not in Page(to_html(made())).text


def shape_of_markdown(source: str) -> list[tuple[str, int, tuple[str, ...]]]:
    """Block tokens with their nesting, and the inline tokens in them; neighbouring texts as one."""
    blocks = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(source):
        inline = [child.type for child in token.children or ()]
        joined = tuple(kind for i, kind in enumerate(inline) if kind != "text" or i == 0 or inline[i - 1] != "text")
        blocks.append((token.type, token.level, joined))
    return blocks


def text_of_markdown(source: str) -> str:
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(source)
    return "\n".join("".join(child.content for child in token.children or ()) for token in tokens)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_text_changes_the_shape_of_the_markdown(payload: str) -> None:
    hostile, innocent = to_markdown(made(payload)), to_markdown(made())
    assert shape_of_markdown(hostile) == shape_of_markdown(innocent)
    assert one_line(payload + "few prompts") in text_of_markdown(hostile)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_every_row_of_a_markdown_table_keeps_its_number_of_pipes(payload: str) -> None:
    def pipes(source: str) -> list[int]:
        return [line.count("|") for line in source.splitlines() if line.startswith("|")]

    assert pipes(to_markdown(made(payload))) == pipes(to_markdown(made()))


@given(st.text())
def test_escaped_markdown_reads_as_the_text_that_was_escaped(text: str) -> None:
    # Inside a sentence: a Markdown parser drops the white space at the ends of a block, as one_line does.
    assert text_of_markdown(f"x {escape(text)} x").strip() == f"x {one_line(text)} x"


def test_escaped_markdown_has_no_address_that_github_would_link() -> None:
    assert (
        escape("see https://evil.example or WWW.evil.example") == "see https&#58;//evil.example or WWW&#46;evil.example"
    )


def test_markdown_has_no_tag_even_for_a_renderer_that_knows_no_backslash_before_a_bracket() -> None:
    assert "<" not in to_markdown(made("".join(PAYLOADS)))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_text_reaches_the_terminal_as_a_control_code(payload: str) -> None:
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", printed(made(payload)))
    coloured = printed(made(payload), force_terminal=True, color_system="standard", legacy_windows=False)
    assert "\x1b[1m" in coloured
    assert "\x1b" not in re.sub(r"\x1b\[[\d;]*m", "", coloured)


def test_the_console_reads_no_rich_markup_in_data() -> None:
    shown = " ".join(printed(made("[bold]x[/bold] [/nope] :smile: "), width=200).split())
    assert "[bold]x[/bold] [/nope] :smile: few prompts" in shown


@pytest.mark.parametrize("width", [72, 79, 80, 81, 100, 109, 110, 120])
def test_the_table_is_never_cut_whatever_the_judge_is_called(width: int) -> None:
    long = replace(made().pairs[0], judge="openai:my-judge", a="old", b="new", wins=217, ties=110, losses=107)
    shown = printed(replace(made(), pairs=Pairs((replace(long, conclusion="undecided"),))), width).splitlines()
    rule = next((at for at, line in enumerate(shown) if line.startswith("───")), None)
    assert (rule is None) == (width == 72), "no room for the names: the sentences say the same"
    if rule is None:
        return
    assert len(shown[rule].rstrip()) <= width
    assert shown[rule - 1].rstrip().endswith("conclusion")
    assert shown[rule + 1].rstrip().endswith("undecided")
    assert "217/110/107" in shown[rule + 1]


def test_no_color_leaves_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    shown = printed(made(), force_terminal=True, legacy_windows=False)
    assert not re.search(r"\x1b\[[\d;]*3[0-7]", shown)


def test_the_console_can_print_on_a_terminal_that_knows_only_ascii() -> None:
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, "ascii", write_through=True), width=80)
    print_report(made("é\u202e"), console, None)
    assert b"?[U+202E]few prompts" in raw.getvalue()


@given(st.text(st.characters(min_codepoint=0, max_codepoint=0x10FFFF, exclude_categories=())))
def test_plain_text_is_text_that_can_be_written_and_stays_as_it_is_when_made_plain_again(text: str) -> None:
    plain = plain_text(text)
    plain.encode("utf-8")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", plain)
    assert plain_text(plain) == plain


def test_plain_text_holds_nothing_that_xml_forbids() -> None:
    allowed = (*map(range, (0x20, 0xE000, 0x10000), (0xD800, 0xFFFE, 0x110000)), (0x9, 0xA, 0xD))  # XML 1.0, 2.2: Char
    forbidden = sorted(set(range(0x110000)).difference(*allowed))
    assert len(forbidden) == 29 + 0x800 + 2
    shown = "".join(plain_text(chr(code)) for code in forbidden)
    assert ElementTree.fromstring(f"<t>{shown}</t>").text == shown
    assert plain_text("a\ufffe\uffff") == "a[U+FFFE][U+FFFF]"


def test_plain_text_shows_controls_as_symbols_and_bidi_controls_by_their_number() -> None:
    assert plain_text("\x1b[2J \x00 \x7f \x9b \u202e \ud800 a\tb\r\nc\u2028d") == (
        "␛[2J ␀ ␡ \ufffd [U+202E] \ufffd a\tb\nc\nd"
    )
    assert plain_text("naïve ümlaut עברית 👩‍🔬 x²") == "naïve ümlaut עברית 👩‍🔬 x²"


# ---------------------------------------------------------------- what the views say


def test_every_view_gives_the_figures_of_the_report() -> None:
    for view in (printed(made(), width=200), to_markdown(made()), Page(to_html(made())).text):
        for figure in (
            "0.62 [0.44, 0.78]",
            "0.423",
            "0.25 [0.10, 0.60]",
            "41,234",
            "6,120",
            "0.13 USD",
            "0.52",
            "0.69",
        ):
            assert figure in view, figure
        assert "24 of 31 prompts used; 3 invalid, 2 failed, 2 skipped" in view
    for view in (to_markdown(made()), Page(to_html(made())).text):
        for figure in ("0.79 [0.58, 0.93]", "0.211", "3f9a2c71", "sciexam/report/1", "beta interval on the effective"):
            assert figure in view, figure
    assert "11/8/5" in printed(made())
    assert "11/8/5" in to_markdown(made())
    assert "0.92 [0.16, 1.59]" in Page(to_html(made())).text


def test_every_view_gives_the_sentence_the_caveats_and_the_notes() -> None:
    report = made()
    for view in (printed(report, width=300), to_markdown(report), Page(to_html(report)).text):
        assert wording.after_judge(report.pairs[0]).strip() in view
        for said in (*report.caveats, *report.notes.values()):
            assert said in view


def test_a_figure_that_is_undefined_is_a_sentence_in_every_view() -> None:
    report = undefined_report()
    page = to_html(report)
    for view in (printed(report, width=200), to_markdown(report), page[page.index("</style>") :]):
        assert not re.search(r"\b(nan|NaN|inf|None)\b", view)
        assert "n/a" in view
        assert "no prompt has a usable verdict" in view
        assert "no prompt was judged in both orders" in view
        assert "cost unknown" in view


def test_the_console_says_once_why_a_figure_is_missing() -> None:
    report = undefined_report()
    twice = replace(report, pairs=Pairs([*report.pairs, *report.pairs]))
    assert printed(twice, width=200).count("no prompt was judged in both orders") == 1


def test_the_name_of_a_judge_is_not_broken_in_eighty_columns() -> None:
    named = made(pairs=tuple(replace(pair, judge="openai:my-judge") for pair in made().pairs))
    shown = printed(named)
    assert " openai:my-judge " in shown.partition("by openai")[0]
    assert "conclusion" in shown
    assert max(map(len, shown.splitlines())) <= 80
    longer = made(pairs=tuple(replace(pair, judge="openai:gpt-4.1-mini-2025-04-14") for pair in made().pairs))
    lines = printed(longer).partition("by openai")[0].splitlines()
    assert any(" openai:gpt-4.1- " in line for line in lines), "one that has no room is broken after a mark in it"
    assert any(" mini-2025-04-14 " in line for line in lines)


def test_the_console_keeps_to_eighty_columns_but_for_the_path() -> None:
    path = Path("results") / ("science" * 20) / "report.html"
    shown = printed(made("a long name without end "), path=path).splitlines()
    assert shown[-1] == f"Report: {path}"
    assert max(map(len, shown[:-1])) <= 80


def test_the_console_prints_categories_of_up_to_three_pairs_and_refers_to_the_report_for_more() -> None:
    pair = made().pairs[0]
    assert "physics" in printed(made(pairs=Pairs([pair] * 3)))
    four = printed(made(pairs=Pairs([pair] * 4)))
    assert "physics" not in four
    assert "by category are in the report" in four


def test_markdown_holds_no_answer_and_no_reason() -> None:
    assert "The sea is blue" not in to_markdown(made())
    assert "names the cause" not in to_markdown(made())


def test_the_interval_is_drawn_where_its_numbers_are() -> None:
    tags = Page(to_html(made())).tags
    large = [attrs for tag, attrs in tags if attrs.get("class") in ("reach", "point", "outer", "band")][:4]
    band, outer, reach, point = large
    assert (band["x"], band["width"]) == ("45.00%", "10.00%")
    assert (outer["x1"], outer["x2"]) == ("51.70%", "68.90%")
    assert (reach["x1"], reach["x2"]) == ("44.30%", "77.70%")
    assert point["cx"] == "62.50%"
    label = next(attrs["aria-label"] for tag, attrs in tags if tag == "svg")
    assert label is not None
    assert "sft against base: 0.62 [0.44, 0.78]" in label
    assert "0.52" in label


def test_a_clean_sweep_keeps_its_interval_and_has_no_empty_segments() -> None:
    sweep = with_pair(made(), win_rate=SWEEP, wins=24, ties=0, losses=0, conclusion="better", p_holm=0.0002)
    source = to_html(sweep)
    assert "1.00 [0.86, 1.00]" in source
    assert 'cx="100.00%"' in source
    assert re.findall(r"flex-grow:(\d+)", source) == ["24"]
    assert "&lt;0.001" in source


def test_the_page_shows_answers_side_by_side_with_verdicts_in_the_order_they_were_shown() -> None:
    page = Page(to_html(made()))
    shown = " ".join(page.text.split())
    for said in ("The sea is blue.", "Air scatters blue most.", "Rayleigh scattering", "hit the token limit"):
        assert said in shown
    assert "shown base, then sft → sft, clearly better · P(sft) = 0.83 B names the cause" in shown
    assert "rater, shown sft, then base → tie Both do" in shown
    assert "no usable verdict: no verdict line" in shown
    assert "invalid: refused" in shown
    assert [attrs["id"] for tag, attrs in page.tags if tag == "article"] == ["p1"]


def test_a_verdict_stands_under_its_judge_and_its_pair_whichever_way_round_it_was_shown() -> None:
    names, judges = ("base", "sft", "rlhf"), ("llm", "measures")
    contests = [("base", "sft"), ("base", "rlhf"), ("sft", "rlhf")]
    opinions = tuple(
        Opinion(judge, judge, first, second, 0, said, None, None, f"{judge}: {first}/{second}", "ok", "")
        for a, b in reversed(contests)
        for judge in judges
        for first, second, said in ((b, a, b), (a, b, b if judge == "llm" else a))
        if (judge, a, b) != ("measures", "sft", "rlhf")
    )
    item = replace(made().items[0], answers=(), opinions=opinions)
    pairs = Pairs(replace(made().pairs[0], a=a, b=b, judge=judge) for a, b in contests for judge in judges)
    source = to_html(made(contestants=names, pairs=pairs, items=(item,)))
    article = source[source.index("<article") : source.index("</article>")]
    shown = [" ".join(Page(bench).text.split()) for bench in re.findall(r"<details.*?</details>", article, re.DOTALL)]
    shown = [bench for bench in shown if " against " in bench]
    assert [bench.split(" shown ")[0] for bench in shown] == [
        "llm on sft against base: sft in both orders",
        "measures on sft against base: sft 1, base 1",
        "llm on rlhf against base: rlhf in both orders",
        "measures on rlhf against base: rlhf 1, base 1",
        "llm on rlhf against sft: rlhf in both orders",
    ]
    assert "shown rlhf, then base → rlhf llm: rlhf/base shown base, then rlhf → rlhf llm: base/rlhf" in shown[2]


def test_prompts_that_nobody_answered_are_named_in_one_line() -> None:
    shown = " ".join(Page(to_html(made())).text.split())
    assert "2 of 3 prompts have no answer and are not shown p002, p003" in shown
    assert "Nobody answered this one" not in shown


def test_the_manifest_is_folded_at_the_end_with_versions_command_seed_digests_and_settings() -> None:
    page = to_html(made(), MANIFEST)
    (folded,) = re.findall(r'<details id="manifest">.*?</details>', page, re.DOTALL)
    shown = " ".join(Page(folded).text.split())
    for said in ("sciexam compare base sft", "numpy 2.4.0", "c0ffee", "Seed7", "max_tokens: 512", "backend: openai"):
        assert said in shown, said
    for digit in "12345":
        assert digit * 64 in shown
    assert "top_p" not in shown
    assert page.rindex("<article") < page.index(folded)
    assert "manifest" not in to_html(made())


def test_an_outcome_says_the_score_and_who_disagrees() -> None:
    report = made()
    split = Outcome("judge", "base", "sft", 0.75, "ok", False, False)
    article = re.search(r"<article.*?</article>", to_html(with_outcome(report, split)), re.DOTALL)
    assert article is not None
    shown = " ".join(Page(article.group()).text.split())
    assert "no usable verdict 1 score of sft 0.75 orders disagree raters disagree" in shown
    assert 'data-outcomes="b" data-orders="1" data-raters="1"' in article.group()
    none = Outcome("judge", "base", "sft", None, "invalid", None, None)
    assert 'data-outcomes="-" data-orders="0" data-raters="0"' in to_html(with_outcome(report, none))


def with_outcome(report: Report, outcome: Outcome) -> Report:
    return replace(report, items=(replace(report.items[0], outcomes=(outcome,)), *report.items[1:]))


def test_every_view_says_what_to_do_next_with_the_command_to_type() -> None:
    steps = (Step("To find 0.6 takes 12 more prompts; what that costs", "sciexam plan base sft --effect 0.6"),)
    report = made(next_steps=steps)
    for view in (printed(report, width=200), to_markdown(report), Page(to_html(report)).text):
        assert "What to do next" in view
        assert "12 more prompts" in view
        assert "sciexam plan base sft --effect 0.6" in view
    hostile = made(next_steps=(Step("why", "sciexam plan 'a`b<script>'"),))
    assert "<script>'" not in to_html(hostile)
    assert "a&#96;b&lt;script&gt;" in to_markdown(hostile)


def test_the_list_of_prompts_names_the_winner_only_where_all_verdicts_agree() -> None:
    report = made()
    agreed = replace(report.items[0], opinions=report.items[0].opinions[:1])
    listed = re.compile(r'<ol class="index">(.*?)</ol>', re.DOTALL)
    split = one_line(Page(listed.findall(to_html(report))[0]).text)
    assert split == "1. Why is the sky blue? sft 1, tie 1, no usable verdict 1"
    whole = one_line(Page(listed.findall(to_html(replace(report, items=(agreed,))))[0]).text)
    assert whole == "1. Why is the sky blue? sft"


def test_with_several_comparisons_the_page_has_a_row_and_an_axis_for_each() -> None:
    pair = made().pairs[0]
    page = Page(to_html(made(pairs=Pairs([pair, replace(pair, judge="measures", win_rate=SWEEP)]))))
    assert "All comparisons" in page.text
    axes = [attrs["class"] for tag, attrs in page.tags if tag == "svg" and "axis" in (attrs.get("class") or "")]
    assert axes == ["axis", "axis", "axis small", "axis small"]


@pytest.mark.parametrize(
    ("rate", "p_holm", "within", "said"),
    [
        (SWEEP, 0.001, None, "The interval lies wholly above one half"),
        (Estimate(0.1, 0.02, 0.3, 0.95, 24, "m"), 0.001, None, "sft is worse than base"),
        (ALMOST, 0.4, None, "no evidence that they are equal"),
        (SWEEP, 0.2, None, "above one half, but the p-value of the sign-flip test is 0.200, not below 0.05"),
        (
            Estimate(0.65, 0.502, 0.77, 0.95, 34, "m"),
            0.069,
            None,
            "lies above one half (0.502), but the p-value of the sign-flip test is 0.069, not below 0.05",
        ),
        (Estimate(0.51, 0.48, 0.53, 0.95, 900, "m"), 0.4, True, "differ by less than the margin"),
        (Estimate(0.51, 0.48, 0.53, 0.95, 900, "m"), 0.4, False, "the test for the margin of 0.05 did not pass"),
        (ALMOST, None, None, "nothing is concluded"),
        (Undefined("no prompt has a usable verdict"), None, None, "no win rate to conclude from: no prompt has"),
    ],
)
def test_a_conclusion_says_what_it_rests_on(
    rate: Estimate | Undefined, p_holm: float | None, within: bool | None, said: str
) -> None:
    report = with_pair(made(), win_rate=rate, p_holm=p_holm, conclusion=conclude(rate, p_holm, within))
    assert said in wording.conclusion(report, report.pairs[0])


@pytest.mark.parametrize(
    ("calls", "said"),
    [
        (Calls(), "no model was called"),
        (Calls(0, 48, 0, 0, None), "no model was called; 48 stored replies and verdicts reused"),
        (Calls(usd=None, recounted=True), "counted again from the ledger"),
        (Calls(3, 1, 10, 20, None), "3 made, 1 reused; 10 tokens in, 20 out; cost unknown"),
        (Calls(3, 1, 10, 20, 0.0001), "3 made, 1 reused; 10 tokens in, 20 out; less than 0.01 USD"),
    ],
)
def test_the_calls_line_never_takes_a_missing_price_for_nothing(calls: Calls, said: str) -> None:
    assert wording.calls(calls) == said


def test_a_hundred_prompts_with_three_contestants_stay_under_two_megabytes() -> None:
    names, words = ("base", "sft", "rlhf"), "an explanation in words of common length " * 40
    text, reason = " ".join(words.split()[:200]), " ".join(words.split()[:60])
    pair = made().pairs[0]
    contests = [("base", "sft"), ("base", "rlhf"), ("sft", "rlhf")]
    items = tuple(
        Item(
            prompt=f"p{number:03}",
            text=reason,
            category="physics",
            reference=text,
            answers=tuple(Answer(name, 0, text, 200, "ok", "", False) for name in names),
            opinions=tuple(
                Opinion("judge", "judge", first, second, 0, first, "clear", 0.4, reason, "ok", "")
                for a, b in contests
                for first, second in ((a, b), (b, a))
            ),
        )
        for number in range(100)
    )
    pairs = Pairs(replace(pair, a=a, b=b) for a, b in contests)
    source = to_html(made(contestants=names, pairs=pairs, items=items))
    assert source.count("<article") == 100
    assert "text/plain" not in source, "a hundred prompts stand in the page as they are"
    assert len(source.encode()) < 2_000_000


# ---------------------------------------------------------------- many comparisons, and commands


def test_a_command_to_type_is_printed_whole_however_narrow_the_terminal() -> None:
    command = "sciexam compare " + " ".join(f"a-long-name-{i}.jsonl" for i in range(9)) + " --judge the-last-word.jsonl"
    assert f"\n    {command}\n" in printed(made(next_steps=(Step("to go on", command),)))


def many(**conclusions: str) -> Report:
    """Three contestants, all of whose pairs are judged by several; `conclusions`: by judge, of b against a, a letter
    for each pair: better, worse, undecided, higher or lower by form."""
    words = {"b": "better", "w": "worse", "u": "undecided", "h": "higher by form", "l": "lower by form"}
    names = ("base", "sft", "dpo")
    contests = [(names[i], names[j]) for i in range(3) for j in range(i + 1, 3)]
    pairs = [
        replace(made().pairs[0], a=a, b=b, judge=judge, conclusion=words[said[place]])
        for judge, said in conclusions.items()
        for place, (a, b) in enumerate(contests)
    ]
    return replace(made(), contestants=names, pairs=Pairs(pairs))


def test_many_comparisons_are_told_as_a_table_a_headline_and_what_differs() -> None:
    report = many(jury="bbu", measures="wwu", people="uuu")
    few = replace(report.pairs[0], used=9, wins=3, ties=3, losses=3)
    report = replace(report, pairs=Pairs([few, *report.pairs[1:]]))
    told = " ".join(printed(report).split())
    assert told.count("prompts used") == 1, "the pair of which fewer prompts count"
    assert "- sft against base by jury: 9 of 31 prompts used" in told
    assert "That is no evidence that they are equal" not in told
    assert "Each comparison in words, by category and with every figure, is on the page." in told
    assert "Caveats" in told
    assert " ".join(printed(many(jury="bbu")).split()).count("prompts used") == 3, "a few are told one by one"


def test_the_headline_of_many_comparisons_says_who_is_best_by_each_judge() -> None:
    found = wording.overview(many(jury="ubb", measures="wwu", people="uuu", panel="uub", ring="bwb"))
    assert found == (
        "Of 15 comparisons 8 show which contestant is better and 7 are undecided. "
        "By jury, dpo is better than the other two; by measures, base is better than the other two; "
        "by people, no contestant is shown to be better than another; "
        "by panel, dpo leads: worse than none, and better than 1 of the other two; "
        "by ring, each contestant is worse than another one, in a circle."
    )


def test_what_is_decided_by_form_alone_is_told_so_in_every_view_and_in_no_headline() -> None:
    rate = Estimate(0.1, 0.05, 0.2, 0.95, 24, "beta interval on the effective number of prompts")
    report = with_pair(made(), judge="measures", conclusion="lower by form", win_rate=rate, p_holm=0.001)
    for view in (" ".join(printed(report).split()), to_markdown(report), re.sub("<[^>]*>", "", to_html(report))):
        assert "ties half: lower by form; that is no evidence that it is worse." in view
        assert "By form alone, sft is lower than base: measures knows nothing of meaning, so ask people" in view
        assert "worse than" not in view
    found = wording.overview(many(jury="uub", measures="hll"))
    assert found == (
        "Of 6 comparisons 1 shows which contestant is better, 2 are undecided and 3 are decided by form alone "
        "(no evidence of which contestant is better). By jury, dpo leads: worse than none, and better than 1 of the "
        "other two; by measures, no contestant is shown to be better than another."
    )


def test_judges_that_decide_a_pair_in_opposite_directions_are_named() -> None:
    report = many(jury="ubb", measures="wwu", people="ubu")
    (caveat,) = (one for one in _of_opposites(report.pairs))
    assert caveat == "dpo against base is decided in opposite directions: better by jury and people, worse by measures."
    names = [replace(made().pairs[0], a=f"a{i}", conclusion=word) for i in range(5) for word in ("better", "worse")]
    *_, last = _of_opposites(names)
    assert last == "2 more pairs are decided in opposite directions."


def test_backticks_of_a_sentence_are_code_on_the_page_and_nothing_in_them_is_markup() -> None:
    said = pages.coded("It is <b>so</b> (`sciexam <i>validate</i>`), a lone ` too.")
    assert said == "It is &lt;b&gt;so&lt;/b&gt; (<code>sciexam &lt;i&gt;validate&lt;/i&gt;</code>), a lone ` too."
    page = to_html(made(caveats=("judge agreed (`sciexam validate`).",), next_steps=(Step("set `x:`", "go"),)))
    assert "(<code>sciexam validate</code>)." in page
    assert "set <code>x:</code>: " in page


def test_every_view_names_the_questions_that_a_file_does_not_answer() -> None:
    lacking = Answer("sft", 0, "", 0, "skipped", "no recorded answer", False)
    report = with_pair(made(), skipped=1, reasons={"skipped: sft: no recorded answer": 1})
    report = replace(report, items=(replace(report.items[0], text="Why is it cold?", answers=(lacking,)),))
    for view in (printed(report), to_markdown(report), Page(to_html(report)).text):
        assert '1 x skipped: sft has no answer to "Why is it cold?"' in view.replace("'", '"')


def test_a_question_that_is_its_own_id_is_read_once() -> None:
    report = made()
    own = replace(report, items=(replace(report.items[0], prompt="Why is it cold?", text="Why is it cold?"),))
    assert '<bdi class="id" hidden>Why is it cold?</bdi>' in to_html(own)
    assert '<bdi class="id" hidden>' not in to_html(report)


def test_counts_of_used_and_planned_prompts_have_a_heading_on_a_telephone_and_a_terminal() -> None:
    assert 'data-head="used/planned"' in to_html(made())
    assert re.search(r"\n +category +win rate +used/planned", printed(made()))


def test_an_interval_in_parentheses_has_no_backslash_in_markdown() -> None:
    assert escape("(position bias 0.11 [0.07, 0.15])") == "(position bias 0.11 [0.07, 0.15])"


def test_what_was_not_asked_yet_is_not_called_skipped() -> None:
    (pair,) = with_pair(made(), skipped=5, reasons={"not asked yet": 3, "skipped: sft: no recorded answer": 2}).pairs
    assert wording.used(pair) == "24 of 31 prompts used; 3 invalid, 2 failed, 2 skipped, 3 not asked yet"


def test_every_view_says_what_w_t_l_counts_and_that_skipped_prompts_are_in_no_figure() -> None:
    report, screen = made(), io.StringIO()
    print_report(report, Console(width=100, file=screen), None)
    skipped = (
        "2 skipped prompts are no part of the win rate, its interval or its bounds: had they been judged, any of these "
        "could be another."
    )
    several = replace(report, pairs=Pairs([*report.pairs, *report.pairs]))
    for view in (screen.getvalue(), to_markdown(report), to_html(several)):
        flat = " ".join(view.split())
        assert "W/T/L counts prompts by their mean score, above, at or below one half: it is no rate" in flat
        assert skipped in flat
    assert f"by {report.pairs[0].judge}, rubric {report.rubric}" in screen.getvalue()
    to_come = with_pair(report, reasons={NOT_ASKED: 2})
    assert wording.skipped(to_come.pairs[0]) == ""


def test_a_note_that_several_contestants_share_is_said_once() -> None:
    report, screen = made(notes={"base": "a toy", "sft": "a toy"}), io.StringIO()
    print_report(report, Console(width=100, file=screen), None)
    assert screen.getvalue().count("base, sft: a toy") == 1
    assert to_markdown(report).count("base, sft: a toy") == 1
    assert to_html(report).count("<bdi>a toy</bdi>") == 1
    assert wording.noted({"base": "a toy", "gpt": "large"}) == ["base: a toy", "gpt: large"]
