"""Where a reader of the page comes to: by a link, a key, a filter; and how code and scripts are set."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from test_page import filled, shown, visit

import sciexam as sx
from conftest import write_jsonl
from sciexam.report.record import Report

__all__ = ["visit"]

PROMPTS = 40
ODD = """<img src=x onerror="window.bad=1">'] &=#%/é"""
ARABIC = "هذه ظاهرة طبيعية تحدث في الهواء"
CODE = "Write this:\n\n```python\ndef light(x):\n    # <b>blue</b>\n    return x\n```\nand call `light(3)` there."
BAR = "document.getElementById('tools').getBoundingClientRect()"


def answer(name: str, prompt: int) -> str:
    if prompt == 1:
        return CODE if name == "base" else CODE.replace("return x", "return x + 1")
    if prompt == 2:
        return f"An English paragraph.\n\n{ARABIC}.\n\nAnother English one."
    return "\n\n".join(
        f"Paragraph {n} of {name}. " + "The light is bent by the air. " * 12 for n in range(prompt % 5 + 1)
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    """A comparison of two by one judge, in which some prompts are long, and one has an odd id."""
    folder = tmp_path_factory.mktemp("places")
    ids = [f"item-{number:03d}" for number in range(PROMPTS)]
    ids[30] = ODD
    texts = [f"Why does thing {number} happen?" for number in range(PROMPTS)]
    rows = [
        {"id": id, "text": text, "category": f"c{n % 3}"} for n, (id, text) in enumerate(zip(ids, texts, strict=True))
    ]
    write_jsonl(folder / "prompts.jsonl", rows)
    for name in ("base", "sft"):
        write_jsonl(folder / f"{name}.jsonl", [{"prompt": id, "text": answer(name, n)} for n, id in enumerate(ids)])
    verdicts = [
        {"prompt": id, "first": first, "second": second, "rater": "gpt", "kind": "judge", "preferred": preferred}
        for n, id in enumerate(ids)
        for first, second in (("base", "sft"), ("sft", "base"))
        for preferred in [("first" if first == "base" else "second") if n % 6 == 4 else "tie" if n % 6 else "first"]
    ]
    write_jsonl(folder / "verdicts.jsonl", verdicts)
    suite = {
        "suite": "exam",
        "prompts": "prompts.jsonl",
        "models": {name: {"responses": f"{name}.jsonl"} for name in ("base", "sft")},
        "contestants": ["base", "sft"],
        "judges": {"gpt": {"backend": "recorded", "verdicts": "verdicts.jsonl"}},
        "judge": "gpt",
    }
    (folder / "exam.yaml").write_text(json.dumps(suite))
    report = sx.compare(str(folder / "exam.yaml"), "base", "sft", results=folder / "results")
    return report, folder / "results" / "exam" / report.run / "report.html"  # type: ignore[return-value]


def settled(page: Any) -> None:
    """Wait until nothing moves any more."""
    page.wait_for_function(
        """() => new Promise((done) => {
            const at = scrollY;
            setTimeout(() => done(at === scrollY), 150);
        })"""
    )


def in_view(page: Any) -> list[tuple[str, float]]:
    """The prompts in view, with how many pixels each begins below the bar."""
    settled(page)
    found = page.evaluate(
        f"""() => [...document.querySelectorAll("article.prompt:not([hidden])")]
            .map((one) => [one.id, one.getBoundingClientRect().top - {BAR}.bottom, one.getBoundingClientRect().bottom])
            .filter(([, top, bottom]) => bottom > {BAR}.bottom + 20 && top + {BAR}.bottom < innerHeight)"""
    )
    return [(id, top) for id, top, _ in found]


# ---------------------------------------------------------------- places


def test_a_filter_chosen_while_reading_brings_the_nearest_prompt_that_it_shows(visit: Callable[..., Any]) -> None:
    page = visit("#p22")
    in_view(page)
    page.select_option("[name=outcome]", label="base won")
    assert shown(page) == ["p5", "p11", "p17", "p23", "p29", "p35"]
    [(first, top), *_] = in_view(page)
    assert first == "p23"
    assert 0 <= top < 40
    assert page.evaluate("location.hash") == "#p23&outcome=base+won"
    page.select_option("[name=category]", label="c0")
    assert shown(page) == []
    page.click("#clear")
    assert in_view(page)[0][0] == "p23", "the place is kept while nothing is shown"


def test_what_stays_shown_stays_where_it_was(visit: Callable[..., Any]) -> None:
    page = visit("#p23")
    in_view(page)
    page.evaluate("scrollBy({ top: 150, behavior: 'instant' })")
    before = in_view(page)
    page.select_option("[name=outcome]", label="base won")
    after = in_view(page)
    assert before[0][0] == after[0][0] == "p23"
    assert after[0][1] == pytest.approx(before[0][1], abs=3)


@pytest.mark.parametrize("width", [1280, 1000, 390])
def test_the_head_of_a_prompt_is_never_under_the_bar(width: int, visit: Callable[..., Any]) -> None:
    page = visit("#p31", width=width)
    for key in ("", "j", "j", "k"):
        if key:
            page.keyboard.press(key)
        settled(page)
        covered = f"({BAR}.bottom > 0 && getComputedStyle(document.getElementById('tools')).position === 'sticky')"
        top, bar = page.evaluate(
            f"""() => [document.activeElement.querySelector("h3").getBoundingClientRect().top,
                {covered} ? {BAR}.bottom : 0]"""
        )
        assert bar <= top < bar + 60, key
    assert page.evaluate("location.hash") == "#p32"


def test_a_link_with_filters_alone_opens_at_the_prompts(visit: Callable[..., Any]) -> None:
    page = visit("#outcome=base+won&orders=yes")
    assert shown(page) == []
    settled(page)
    assert page.evaluate(f"{BAR}.top") == pytest.approx(0, abs=2)
    assert page.locator("#none").is_visible()


def test_the_bar_ends_with_the_prompts_and_links_beyond_them_land(visit: Callable[..., Any]) -> None:
    page = visit()
    for place in ("figures", "made"):
        page.evaluate("scrollTo({ top: 0, behavior: 'instant' })")
        page.click(f"a[href='#{place}'] >> nth=0")
        settled(page)
        top, left, bar = page.evaluate(
            """id => [document.getElementById(id).getBoundingClientRect().top,
                document.documentElement.scrollHeight - scrollY - innerHeight,
                document.getElementById("tools").getBoundingClientRect().bottom]""",
            place,
        )
        assert abs(top) < 3 or left < 3
        assert bar < max(top, 3), "it covers nothing that comes after the prompts"


@pytest.mark.parametrize("place", ["p5", "p30", "p40", "made"])
def test_without_a_script_a_link_lands_where_it_says(place: str, visit: Callable[..., Any]) -> None:
    page = visit(f"#{place}", java_script_enabled=False)
    page.wait_for_timeout(300)
    box = page.locator(f"#{place}").bounding_box()
    end = page.locator("footer").bounding_box()
    assert 0 <= box["y"] < 40 or end["y"] + end["height"] < 900


# ---------------------------------------------------------------- the address and ids


def test_the_address_keeps_the_prompt_beside_what_is_chosen_later(visit: Callable[..., Any]) -> None:
    page = visit("#p11")
    page.check("[name=differences]")
    page.wait_for_function("() => location.hash === '#p11&differences=yes'")
    page.select_option("[name=category]", label="c1")
    page.wait_for_function("() => location.hash === '#p11&category=c1&differences=yes'")
    again = visit("#" + page.url.partition("#")[2])
    again.wait_for_function("() => document.activeElement.id === 'p11'")
    assert again.is_checked("[name=differences]")
    page.keyboard.press("Escape")
    page.wait_for_function("() => location.hash === '#p11'")


def test_a_prompt_is_found_by_its_id_in_the_search_and_in_the_address(visit: Callable[..., Any]) -> None:
    page = visit()
    filled(page, "item-017")
    assert shown(page) == ["p18"]
    page.wait_for_function("() => CSS.highlights.get('hit').size === 1")
    for id, number in (("item-017", 18), (ODD, 31)):
        page = visit("#" + quote(id, safe=""))
        page.wait_for_function("id => document.activeElement.id === id", arg=f"p{number}")
        assert page.evaluate("location.hash") == f"#p{number}"
        assert page.evaluate("window.bad") is None
    page = visit("#" + quote("item-030", safe="") + "&differences=yes")
    shown(page)
    assert page.evaluate("document.activeElement.id") == "", "nobody has this id"


# ---------------------------------------------------------------- nothing, code, scripts


def test_where_nothing_is_shown_the_page_says_so_and_a_button_shows_all(visit: Callable[..., Any]) -> None:
    page = visit()
    assert page.locator("#none").is_hidden()
    filled(page, "nowhere")
    assert shown(page) == []
    assert "No prompt fits" in page.text_content("#none")
    page.click("#none button")
    assert len(shown(page)) == PROMPTS
    assert page.locator("#none").is_hidden()


def test_code_is_set_in_letters_of_one_width_and_can_be_found_copied_and_compared(visit: Callable[..., Any]) -> None:
    page = visit("#p2&search=light(x)&differences=yes")
    shown(page)
    first = page.locator("#p2 .answer .text").first
    assert first.text_content() == CODE
    copied = first.evaluate("(one) => { getSelection().selectAllChildren(one); return getSelection().toString(); }")
    assert copied == CODE
    fonts = first.evaluate(
        "(one) => [...one.querySelectorAll('code')].map((code) => getComputedStyle(code).fontFamily)"
    )
    assert len(fonts) == 2
    assert all("monospace" in font for font in fonts)
    assert "monospace" not in first.evaluate("(one) => getComputedStyle(one).fontFamily")
    page.wait_for_function("() => CSS.highlights.get('only-right')?.size > 0")
    marked = page.evaluate(
        """() => Object.fromEntries(["hit", "only-left", "only-right"].map((name) => [name,
            [...CSS.highlights.get(name)].map(({ startContainer, startOffset, endContainer, endOffset }) => {
                const range = new Range();
                range.setStart(startContainer, startOffset);
                range.setEnd(endContainer, endOffset);
                return range.toString();
            })]))"""
    )
    assert marked == {"hit": ["light(x)"] * 2, "only-left": [], "only-right": ["+ 1"]}


def test_each_paragraph_of_an_answer_has_its_own_direction(visit: Callable[..., Any]) -> None:
    page = visit("#p3")
    settled(page)
    edges = page.evaluate(
        """() => {
            const [box] = document.querySelectorAll("#p3 .answer .text");
            const { left, right } = box.getBoundingClientRect();
            const node = box.firstChild;
            return [...node.data.matchAll(/[^\\n]+/g)].map((line) => {
                const range = new Range();
                range.setStart(node, line.index);
                range.setEnd(node, line.index + line[0].length);
                const written = range.getBoundingClientRect();
                return [written.left - left < 2, right - written.right < 2];
            });
        }"""
    )
    assert edges == [[True, False], [False, True], [True, False]]


def test_figures_stand_in_columns_without_holes(visit: Callable[..., Any]) -> None:
    page = visit()
    gaps = page.evaluate(
        """() => [...document.querySelectorAll("figure + figure")].map((one) =>
            one.getBoundingClientRect().top - one.previousElementSibling.getBoundingClientRect().bottom)"""
    )
    assert gaps
    assert max(gaps) < 60
    assert page.locator("#drawings + .drawings > div").count() == 2
