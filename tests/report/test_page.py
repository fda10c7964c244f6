"""The page of a comparison in a real browser: found, filtered, linked to, read with and without its script."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import write_jsonl, write_suite
from reading import FAINT
from sciexam.report import packing
from sciexam.report.html import to_html
from sciexam.report.record import Item, Report

PROMPTS = 40
NAMES = ("base", "sft", "rlhf")
PAIRS = [("base", "sft"), ("base", "rlhf"), ("sft", "rlhf")]
BAD = (
    "</script></article><img src=x onerror='window.bad=1'><script>window.bad=1</script>]]>--><svg onload=window.bad=1>"
)
WORDS = ("light", "scatters", "because", "the", "molecules", "of", "air", "are", "small", "and", "blue", "bent", "most")
NAMED = {"button", "searchbox", "combobox", "checkbox", "link", "DisclosureTriangle"}
SCREENS = [
    (1280, "light"),
    (390, "dark"),
    *(pytest.param(*one, marks=pytest.mark.slow) for one in ((1280, "dark"), (390, "light"))),
]


def said(name: str, prompt: int) -> str:
    drawn = random.Random(f"{name}{prompt}")
    text = " ".join(drawn.choices(WORDS, k=30 + 10 * NAMES.index(name)))
    return f"{text} {BAD if prompt in (3, 33) else ''} answer-{name}-{prompt}"


def verdicts(kind: str) -> Iterator[dict[str, Any]]:
    """One judge, in both orders; two people, in one each, who often disagree."""
    for prompt in range(PROMPTS):
        for a, b in PAIRS:
            for rater, (first, second) in (("gpt", (a, b)), ("gpt", (b, a)), ("ann", (a, b)), ("bea", (b, a))):
                if (kind == "human") != (rater in ("ann", "bea")) or (rater == "bea" and prompt % 2):
                    continue
                drawn = random.Random(f"{rater}{prompt}{first}{second}")
                preferred = drawn.choice(["first", "second", "tie"])
                reason = f"reason-{rater}-{prompt} {BAD if prompt == 33 else ''}"
                yield {
                    "prompt": f"q{prompt}",
                    **{"first": first, "second": second, "rater": rater, "kind": kind, "reason": reason},
                    **({"preferred": preferred} if (prompt, a) != (5, "base") else {"failure": "refused"}),
                }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Report, Path]]:
    """A comparison of three by two judges, with most of its prompts packed: the report, and its page."""
    folder = tmp_path_factory.mktemp("page")
    for name in NAMES:
        rows = [{"prompt": f"q{prompt}", "text": said(name, prompt)} for prompt in range(PROMPTS)]
        write_jsonl(folder / f"{name}.jsonl", rows)
    for name, kind in (("gpt", "judge"), ("crowd", "human")):
        write_jsonl(folder / f"{name}-verdicts.jsonl", list(verdicts(kind)))
    judges = {name: {"backend": "recorded", "verdicts": f"{name}-verdicts.jsonl"} for name in ("gpt", "crowd")}
    path = write_suite(folder, PROMPTS, {name: {"responses": f"{name}.jsonl"} for name in NAMES}, judges=judges)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(packing, "OPEN_BYTES", 90_000)
        report = sx.compare(str(path), *NAMES, judges=["gpt", "crowd"], results=folder / "results")
    return report, folder / "results" / "exam" / report.run / "report.html"  # type: ignore[return-value]


@pytest.fixture(scope="module")
def served(made: tuple[Report, Path]) -> Iterator[str]:
    """The page over HTTP, on the loopback."""
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(made[1].parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/report.html"
    server.shutdown()
    server.server_close()


@pytest.fixture
def visit(browser: Any, made: tuple[Report, Path]) -> Iterator[Callable[..., Any]]:
    """Open the page (`visit("#p7")`), and see afterwards that nothing else was asked for and nothing went wrong."""
    contexts, wrong = [], []

    def opened(hash: str = "", width: int = 1280, address: str = "", **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        contexts.append(context)
        context.set_default_timeout(10_000)
        at = address or made[1].as_uri()

        def ask(route: Any) -> None:
            if route.request.url.split("#")[0] == at:
                route.continue_()
            else:
                wrong.append(f"asked for {route.request.url}")
                route.abort()

        context.route("**/*", ask)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))
        page.goto(at + hash)
        return page

    yield opened
    for context in contexts:
        context.close()
    # A browser asks a server for an icon by itself; the page names none.
    assert [one for one in wrong if not one.endswith("/favicon.ico")] == []


def shown(page: Any) -> list[str]:
    """The ids of the prompts that are shown, once the count says how many; the list of all shows the same."""
    page.evaluate("() => new Promise((done) => setTimeout(done, 0))")  # what a control has started comes first
    page.wait_for_function("() => /prompts (is|are) shown$/.test(document.getElementById('count').textContent)")
    listed, found, said = page.evaluate(
        """() => [
            document.querySelectorAll(".index > li:not([hidden])").length,
            [...document.querySelectorAll("article.prompt:not([hidden])")].map((one) => one.id),
            document.getElementById("count").textContent,
        ]"""
    )
    assert listed == len(found)
    assert said.startswith(f"All {PROMPTS} " if listed == PROMPTS else f"{listed} of {PROMPTS} ")
    return list(found)


def fitting(report: Report, fits: Callable[[Item], bool]) -> list[str]:
    return [f"p{number}" for number, item in enumerate(report.items, 1) if fits(item)]


def filled(page: Any, word: str) -> None:
    page.fill("[name=search]", word)
    page.wait_for_function("word => location.hash.includes(encodeURIComponent(word).split('%')[0])", arg=word)


def text_of(item: Item) -> str:
    spoken = [item.prompt, item.text, *(one.text for one in item.answers), *(one.reason for one in item.opinions)]
    return "\n".join(spoken).lower()


# ---------------------------------------------------------------- finding


@pytest.mark.parametrize("over", ["file", "http"])
def test_the_page_works_from_a_file_and_over_http_and_asks_for_nothing_else(
    over: str, visit: Callable[..., Any], served: str, made: tuple[Report, Path]
) -> None:
    page = visit(address=served if over == "http" else "")
    assert len(shown(page)) == PROMPTS
    filled(page, "answer-sft-39")
    assert shown(page) == ["p40"], "a packed answer is found"
    page.wait_for_function("() => CSS.highlights.get('hit').size > 0")
    assert "answer-sft-39" in page.text_content("#p40")


def test_what_models_and_judges_said_stays_text_also_where_it_is_unpacked(visit: Callable[..., Any]) -> None:
    page = visit("#search=reason-gpt-33")
    assert shown(page) == ["p34"]
    assert page.text_content("#p34 .answer >> nth=0").count("<img src=x onerror=") == 1
    assert page.evaluate("window.bad") is None
    assert page.evaluate("document.querySelectorAll('img, article svg, article script').length") == 0
    assert page.evaluate("document.querySelectorAll('article').length") == PROMPTS


def test_each_filter_shows_what_the_report_says(visit: Callable[..., Any], made: tuple[Report, Path]) -> None:
    report = made[0]
    page = visit()
    page.select_option("[name=category]", label="c1")
    assert shown(page) == fitting(report, lambda item: item.category == "c1")
    page.click("#clear")
    page.check("[name=orders]")
    assert shown(page) == fitting(report, lambda item: any(one.orders_agree is False for one in item.outcomes))
    page.uncheck("[name=orders]")
    page.check("[name=raters]")
    assert shown(page) == fitting(report, lambda item: any(one.raters_agree is False for one in item.outcomes))
    page.uncheck("[name=raters]")
    for label, fits in (
        ("tie", lambda one: one.score == 0.5),
        ("no result", lambda one: one.score is None),
        ("sft won", lambda one: one.score not in (None, 0.5) and (one.b if one.score > 0.5 else one.a) == "sft"),
    ):
        page.select_option("[name=outcome]", label=label)
        assert shown(page) == fitting(report, lambda item, fits=fits: any(map(fits, item.outcomes))), label


def test_a_pair_and_a_judge_hide_the_other_answers_and_verdicts_and_narrow_who_won(
    visit: Callable[..., Any], made: tuple[Report, Path]
) -> None:
    page = visit()
    page.select_option("[name=pair]", label="rlhf against sft")
    page.select_option("[name=judge]", label="gpt")
    page.select_option("[name=outcome]", label="rlhf won")
    of_pair = [
        {one.score for one in item.outcomes if (one.a, one.b, one.judge) == ("sft", "rlhf", "gpt")}
        for item in made[0].items
    ]
    found = shown(page)
    assert found == [f"p{number}" for number, scores in enumerate(of_pair, 1) if scores & {0.75, 1.0}]
    article = page.locator(f"#{found[0]}")
    assert article.locator(".answer:visible .who").all_text_contents() == ["sft", "rlhf"]
    assert article.locator(".bench:visible summary").all_text_contents()[0].startswith("gpt on rlhf against sft")
    assert article.locator(".bench:visible").count() == 1
    assert page.locator("[name=outcome] option:not([hidden])").all_inner_texts() == [
        *("any", "sft won", "rlhf won", "tie", "no result")
    ]


def test_search_looks_through_questions_answers_and_reasons_for_every_word(
    visit: Callable[..., Any], made: tuple[Report, Path]
) -> None:
    page = visit()
    for words in ("MOLECULES bent", "reason-ann-7", "thing 3", "answer-rlhf-12"):
        filled(page, words)
        wanted = words.lower().split()
        expected = fitting(made[0], lambda item, wanted=wanted: all(word in text_of(item) for word in wanted))
        assert shown(page) == expected, words
        assert expected


# ---------------------------------------------------------------- links and keys


@pytest.mark.parametrize("prompt", [2, 36])
def test_a_link_opens_its_prompt_and_gives_it_the_focus(prompt: int, visit: Callable[..., Any]) -> None:
    page = visit(f"#p{prompt}")
    page.wait_for_function("id => document.activeElement.id === id", arg=f"p{prompt}")
    page.wait_for_function("id => document.querySelector(`#${id} .answers`)", arg=f"p{prompt}")
    page.wait_for_timeout(100)
    top = page.evaluate("id => document.getElementById(id).getBoundingClientRect().top", f"p{prompt}")
    assert 0 <= top < 200, "it stands below the tools"
    assert f"answer-base-{prompt - 1}" in page.text_content(f"#p{prompt}")


def test_the_address_keeps_filters_and_search_so_that_a_link_shows_the_same(visit: Callable[..., Any]) -> None:
    page = visit()
    page.select_option("[name=pair]", label="sft against base")
    page.select_option("[name=outcome]", label="sft won")
    page.check("[name=differences]")
    filled(page, "small air")
    found = shown(page)
    page.keyboard.press("Escape")
    assert len(shown(page)) == PROMPTS
    address = "#search=small+air&pair=sft+against+base&outcome=sft+won&differences=yes"
    again = visit(address)
    assert shown(again) == found
    assert again.input_value("[name=search]") == "small air"
    assert again.is_checked("[name=differences]")
    again.keyboard.press("j")
    again.wait_for_function("() => location.hash.startsWith('#p')")
    third = visit("#" + again.url.partition("#")[2])
    assert shown(third) == found
    third.wait_for_function("id => document.activeElement.id === id", arg=found[0])


def test_keys_walk_through_what_is_shown_and_a_field_keeps_its_letters(visit: Callable[..., Any]) -> None:
    page = visit("#category=c1")
    found = shown(page)

    def at(prompt: str) -> None:
        page.wait_for_function("id => document.activeElement.id === id", arg=prompt)

    for key, place in (("j", 0), ("n", 1), ("j", 2), ("k", 1), ("p", 0), ("k", 0)):
        page.keyboard.press(key)
        at(found[place])
    page.keyboard.press("/")
    page.keyboard.type("jnkp")
    assert page.input_value("[name=search]") == "jnkp"
    page.keyboard.press("Escape")
    assert page.input_value("[name=search]") == ""
    assert len(shown(page)) == PROMPTS
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("j")
    page.keyboard.press("Escape")
    assert not page.locator("#keys").is_visible()


def test_differing_words_are_marked_where_two_answers_are_shown(
    visit: Callable[..., Any], made: tuple[Report, Path]
) -> None:
    page = visit()
    assert not page.locator("[name=differences]").is_visible(), "three answers have no one difference"
    page.select_option("[name=pair]", label="sft against base")
    page.check("[name=differences]")
    page.evaluate("document.getElementById('p1').scrollIntoView({behavior: 'instant'})")
    page.wait_for_function(
        "() => CSS.highlights.get('only-left').size > 0 && CSS.highlights.get('only-right').size > 0"
    )
    marked = page.evaluate(
        """() => ["only-left", "only-right"].map((name) => [...CSS.highlights.get(name)]
            .filter((one) => one.startContainer.parentElement.closest("#p1"))
            .map((one) => [one.startOffset, one.endOffset]))"""
    )
    texts = [answer.text for answer in made[0].items[0].answers[:2]]
    kept = [without(*both) for both in zip(texts, marked, strict=True)]
    assert kept[0] == kept[1], "without the marked words both answers are the same"
    assert len(kept[0]) == longest_common(*(text.split() for text in texts)), "no more is marked than must be"


def without(text: str, spans: list[tuple[int, int]]) -> list[str]:
    """The words of `text` outside `spans`."""
    for start, end in reversed(spans):
        text = text[:start] + text[end:]
    return text.split()


def longest_common(one: list[str], other: list[str]) -> int:
    row = [0] * (len(other) + 1)
    for word in one:
        last = row
        row = [0]
        for place, against in enumerate(other):
            row.append(last[place] + 1 if word == against else max(last[place + 1], row[-1]))
    return row[-1]


def test_a_page_that_is_watched_loads_itself_again_and_keeps_what_is_chosen(
    visit: Callable[..., Any], made: tuple[Report, Path], tmp_path: Path
) -> None:
    running = tmp_path / "running.html"
    running.write_text(to_html(replace(made[0], missing=3), refresh=1))
    page = visit("#p2&search=light", address=running.as_uri())
    shown(page)
    page.evaluate("window.before = true")
    page.wait_for_function("() => !window.before && document.readyState === 'complete'")
    assert page.input_value("[name=search]") == "light"
    page.wait_for_function("() => document.activeElement.id === 'p2'")


# ---------------------------------------------------------------- for everyone


def test_without_a_script_there_are_no_controls_and_the_first_answers_are_read(
    visit: Callable[..., Any], made: tuple[Report, Path]
) -> None:
    page = visit("#p2", java_script_enabled=False)
    assert page.locator("#tools").is_hidden()
    assert "answer-sft-1" in page.text_content("#p2")
    assert "reason-gpt-1" in page.text_content("#p2 .bench >> nth=0")
    note = page.locator("#packed")
    assert note.is_visible()
    brief = page.locator("article.packed")
    assert brief.count() > 20
    assert f"The answers to the {brief.count()} prompts from here on lie compressed" in note.text_content()
    assert "report.json" in note.text_content()
    assert "Why does thing 39 happen?" in brief.last.text_content()


def test_with_a_script_nothing_is_said_of_packing(visit: Callable[..., Any]) -> None:
    page = visit()
    shown(page)
    assert page.locator("#packed").is_hidden()


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_every_word_can_be_told_from_its_ground_and_nothing_scrolls_sideways(
    width: int, scheme: str, visit: Callable[..., Any]
) -> None:
    page = visit("#p2&search=light", width=width, color_scheme=scheme)
    shown(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(FAINT) == []


def test_on_a_telephone_no_figure_and_no_command_is_cut(visit: Callable[..., Any]) -> None:
    page = visit(width=390)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    boxes = "[...document.querySelectorAll('figure .scroll, .command')]"
    assert page.evaluate(f"{boxes}.length") > 4
    assert page.evaluate(f"{boxes}.filter((one) => one.scrollWidth > one.clientWidth).length") == 0
    beyond = "one.getBoundingClientRect().left < one.closest('figure').getBoundingClientRect().left"
    assert page.evaluate(f"[...document.querySelectorAll('figure .scroll')].filter((one) => {beyond}).length") == 0


def test_every_control_has_a_name_and_the_count_is_told_as_it_changes(visit: Callable[..., Any]) -> None:
    page = visit()
    shown(page)
    tree = page.context.new_cdp_session(page)
    tree.send("Accessibility.enable")
    nodes = [node for node in tree.send("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
    named = [(node["role"]["value"], node["name"]["value"]) for node in nodes if node["role"]["value"] in NAMED]
    assert [one for one in named if not re.search(r"\w", one[1])] == []
    controls = {name for role, name in named if role in ("searchbox", "combobox", "checkbox", "button")}
    expected = {"Search", "category", "Pair", "Judge", "Who won", "orders disagree", "raters disagree", "Clear", "Keys"}
    assert controls == expected
    assert page.get_attribute("#count", "aria-live") == "polite"
    assert page.locator("h1").count() == 1


def test_tab_goes_through_the_controls_in_the_order_in_which_they_stand_and_one_sees_where_it_is(
    visit: Callable[..., Any],
) -> None:
    page = visit()
    shown(page)
    page.focus("[name=search]")
    order = []
    for _ in range(9):
        seen = page.evaluate(
            """() => {
                const style = getComputedStyle(document.activeElement);
                const one = document.activeElement;
                return [one.name || one.id, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
            }"""
        )
        order.append(seen[0])
        assert seen[1], f"{seen[0]} shows that it has the focus"
        page.keyboard.press("Tab")
    assert order == ["search", "category", "pair", "judge", "outcome", "orders", "raters", "clear", "show-keys"]


def test_nothing_on_the_page_moves_by_itself(visit: Callable[..., Any]) -> None:
    page = visit()
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    assert page.evaluate("document.getAnimations().length") == 0


def test_paper_gets_answers_and_verdicts_and_no_controls(visit: Callable[..., Any]) -> None:
    page = visit(java_script_enabled=False)
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("#tools").is_hidden()
    assert page.locator("#p1 .answer").first.is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.pdf().startswith(b"%PDF")
