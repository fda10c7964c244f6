"""What comes between an annotator and the next item, in a real browser: a page that is left, a break, a second thought,
no script. Whatever happens, the ledger holds what was said, and holds it once.
"""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest

from newcomers import (
    PHONE,
    PROMPTS,
    SCRIPT,
    Newcomer,
    Open,
    arrive,
    go,
    held_back,
    item_of,
    judge,
    middle_of,
    told,
    until,
)
from reading import FAINT
from sciexam.annotate.said import Said
from wire import Wire

pytestmark = pytest.mark.slow

TAKE_BACK = "button:text('Take back')"


# ---------------------------------------------------------------- drafts


def saved(page: Any) -> None:
    page.get_by_role("status").filter(has_text="Draft saved").wait_for(timeout=90_000)  # 15 s a try, then 5 s


def test_what_was_typed_is_there_again_and_goes_with_the_judgement(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    page = opened(me.link)
    first, field = item_of(page), "textarea[name=comment]"
    page.keyboard.press("c")
    page.keyboard.type("Half a sentence, ")
    saved(page)
    page.reload()
    assert page.input_value(field) == "Half a sentence, "
    elsewhere = opened(me.link)
    page.context.close()
    assert elsewhere.input_value(field) == "Half a sentence, "
    elsewhere.focus(field)
    elsewhere.keyboard.press("End")
    elsewhere.keyboard.type("and the rest.")
    elsewhere.keyboard.press("Escape")
    go(elsewhere, lambda: elsewhere.keyboard.press("1"))
    assert elsewhere.input_value(field) == ""
    assert me.said() == [(first, Said("left-much", "Half a sentence, and the rest."))]
    assert me.draft(first) == Said()


@pytest.mark.parametrize("leave", ["close", "history"])
def test_what_was_typed_just_before_one_leaves_is_kept(pairs: Newcomer, opened: Open, leave: str) -> None:
    me = pairs()
    page = opened(me.link)
    first, witness = item_of(page), page.context.new_page()
    page.fill("textarea[name=comment]", "on my way out")
    if leave == "close":
        page.close(run_before_unload=True)
    else:
        page.click("a:text('History')")
    until(witness, lambda: me.draft(first) == Said("", "on my way out"))
    assert opened(me.link).input_value("textarea[name=comment]") == "on my way out"
    assert me.did() == []


def test_a_draft_that_is_still_on_its_way_when_one_leaves_is_sent_again(
    pairs: Newcomer, opened: Open, wire: Wire
) -> None:
    me, wire.fault = pairs(), "late"
    page = opened(me.link, **wire.options)
    first, witness = item_of(page), page.context.new_page()
    page.fill("textarea[name=comment]", "on my way out")
    until(page, lambda: wire.waiting == 1)
    wire.fault = ""
    page.close(run_before_unload=True)
    until(witness, lambda: me.draft(first) == Said("", "on my way out"))


def test_a_draft_that_was_overtaken_does_not_win(pairs: Newcomer, opened: Open, wire: Wire) -> None:
    me, wire.fault = pairs(), "late"
    page = opened(me.link, **wire.options)
    page.keyboard.press("c")
    page.keyboard.type("old")
    until(page, lambda: wire.waiting == 1)
    wire.fault = ""
    page.keyboard.type(" and new")
    page.wait_for_timeout(1000)  # time for the newer one to overtake it, if it does
    wire.free.set()
    until(page, lambda: wire.drafts == 2)
    assert me.draft(item_of(page)).comment == "old and new"


def test_a_draft_that_arrives_after_the_judgement_is_none(pairs: Newcomer, opened: Open, wire: Wire) -> None:
    me, wire.fault = pairs(), "late"
    page = opened(me.link, **wire.options)
    first = item_of(page)
    page.keyboard.press("c")
    page.keyboard.type("old")
    until(page, lambda: wire.waiting == 1)
    wire.fault = ""
    page.keyboard.type(" and new")
    page.keyboard.press("Escape")
    go(page, lambda: page.keyboard.press("1"))
    wire.free.set()
    until(page, lambda: wire.drafts == 1)
    page.go_back()
    assert page.input_value("textarea[name=comment]") == "old and new"
    assert me.said() == [(first, Said("left-much", "old and new"))]


def test_a_draft_waits_for_the_network_too(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    page = opened(me.link)
    first, asked = item_of(page), []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.context.set_offline(True)
    page.keyboard.press("c")
    page.keyboard.type("written in a tunnel")
    page.get_by_role("status").filter(has_text="Draft not saved yet").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("h")
    until(page, lambda: asked == ["beforeunload"])  # whoever goes now, loses it
    assert me.draft(first) == Said()
    page.context.set_offline(False)
    saved(page)
    assert me.draft(first) == Said("", "written in a tunnel")
    go(page, lambda: page.keyboard.press("h"))
    assert asked == ["beforeunload"]


def test_a_text_that_is_being_written_is_there_again(demonstrations: Newcomer, opened: Open) -> None:
    me = demonstrations()
    page = opened(me.link)
    first, text = item_of(page), "What I would say,\n\n  with <b>care</b> & more. "
    page.fill("textarea[name=text]", text)
    saved(page)
    page.reload()
    assert page.input_value("textarea[name=text]") == text
    elsewhere = opened(me.link)
    assert elsewhere.input_value("textarea[name=text]") == text
    go(elsewhere, lambda: elsewhere.click("button[value=edit]"))
    assert me.said() == [(first, Said("edit", text=text))]
    assert elsewhere.input_value("textarea[name=text]").startswith("It follows from law")


def order_in(page: Any) -> list[str]:
    return page.locator("#order li").evaluate_all("rows => rows.map(row => row.dataset.name)")


def test_an_order_that_is_being_made_is_there_again(rankings: Newcomer, opened: Open) -> None:
    me = rankings()
    page = opened(me.link)
    before = order_in(page)
    wanted = [before[3], before[0], before[2], before[1]]
    for place, name in enumerate(wanted, 1):
        page.locator(f"#order li[data-name='{name}'] .handle").focus()
        page.keyboard.press(str(place))
    assert order_in(page) == wanted
    saved(page)
    page.reload()
    assert order_in(page) == wanted
    elsewhere = opened(me.link)
    assert order_in(elsewhere) == wanted
    first, kept = item_of(elsewhere), me.draft(item_of(elsewhere)).ranking
    go(elsewhere, lambda: elsewhere.keyboard.press("s"))
    assert me.said() == [(first, Said("ranking", ranking=kept))]


# ---------------------------------------------------------------- a break, and taking back


@SCRIPT
def test_a_break_gives_the_item_back_and_go_on_returns_to_it(pairs: Newcomer, opened: Open, script: bool) -> None:
    me = pairs()
    page = opened(me.link, java_script_enabled=script)
    first = page.url
    page.fill("textarea[name=comment]", "before the break")
    if script:
        saved(page)
        page.keyboard.press("Escape")
    assert me.holds(item_of(page))
    go(page, lambda: page.keyboard.press("b") if script else page.click("button:text('Break')"))
    assert page.inner_text("h1") == "A break"
    assert not me.holds(first.rpartition("/")[2])
    go(page, lambda: page.click("text=Go on"))
    assert page.url == first
    assert page.input_value("textarea[name=comment]") == ("before the break" if script else "")
    assert me.holds(item_of(page))
    assert me.did() == []


@pytest.mark.parametrize("press", ["u u", "dblclick"])
def test_taking_back_twice_at_once_takes_one_back(pairs: Newcomer, opened: Open, press: str) -> None:
    me = pairs()
    page = opened(me.link)
    first = item_of(page)
    judge(page, "left-much")
    second = item_of(page)
    judge(page, "left-much")
    held = held_back(page)
    if press == "dblclick":
        page.mouse.dblclick(*middle_of(page, TAKE_BACK))
    else:
        page.keyboard.press("u")
        page.keyboard.press("u")
    arrive(page, held)
    assert item_of(page) == second
    assert "Taken back" in told(page)
    assert me.did() == [(first, "left-much"), (second, "left-much"), (second, "withdrawn")]


def test_the_second_click_of_a_double_click_takes_nothing_more_back(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    page = opened(me.link)
    first = item_of(page)
    judge(page, "left-much")
    second = item_of(page)
    judge(page, "left-much")
    go(page, lambda: page.mouse.click(*middle_of(page, TAKE_BACK)))
    page.mouse.down(click_count=2)
    page.mouse.up(click_count=2)
    judge(page, "right-much")
    assert me.did() == [(first, "left-much"), (second, "left-much"), (second, "withdrawn"), (second, "right-much")]


def test_each_press_of_u_takes_one_more_back(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    page = opened(me.link)
    assert page.locator(TAKE_BACK).count() == 0
    page.keyboard.press("u")
    first = item_of(page)
    judge(page, "left-much")
    second = item_of(page)
    judge(page, "right-much")
    go(page, lambda: page.keyboard.press("u"))
    assert item_of(page) == second
    go(page, lambda: page.keyboard.press("u"))
    assert item_of(page) == first
    assert page.locator(TAKE_BACK).count() == 0
    assert me.did() == [(first, "left-much"), (second, "right-much"), (second, "withdrawn"), (first, "withdrawn")]


def test_a_tab_that_does_not_know_the_last_judgement_takes_nothing_back(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    page = opened(me.link)
    first = item_of(page)
    judge(page, "left-much")
    stale = page.context.new_page()
    stale.goto(page.url)
    second = item_of(page)
    judge(page, "right-much")
    go(stale, lambda: stale.keyboard.press("u"))
    assert stale.url == page.url
    assert me.did() == [(first, "left-much"), (second, "right-much")]


# ---------------------------------------------------------------- without a script


def test_a_queue_is_judged_without_javascript(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    page = opened(me.link, java_script_enabled=False)
    expected = []
    for choice in ("left-much", "right-slightly", "cannot", "right-much"):
        page.fill("textarea[name=comment]", f"on {choice}")
        value = page.locator(f"button[name=choice][value^={choice}]").get_attribute("value")
        expected.append((item_of(page), Said(value, f"on {choice}")))
        judge(page, value)
    assert "Nothing left to judge" in page.inner_text("h1")
    assert me.said() == expected


def test_without_javascript_equal_ranks_are_told_and_what_was_entered_stays(rankings: Newcomer, opened: Open) -> None:
    me = rankings()
    page = opened(me.link, java_script_enabled=False)
    first = item_of(page)
    names = page.locator("#order select").evaluate_all("all => all.map((one) => one.name)")
    for name, rank in zip(names, ("3", "1", "1", "4"), strict=True):
        page.select_option(f"select[name={name}]", rank)
    page.fill("textarea[name=comment]", "It was hard to say.")
    with page.expect_response(lambda response: response.request.method == "POST") as answer:
        page.click("button[value=ranking]")
    assert answer.value.status == 422
    assert told(page) == "Give every answer a rank of its own, from 1 for the best."
    assert page.input_value("textarea[name=comment]") == "It was hard to say."
    assert [page.input_value(f"select[name={name}]") for name in names] == ["3", "1", "2", "4"]  # the nearest order
    assert me.did() == []
    kept = ranked(page)
    judge(page, "ranking")
    queue, _, _ = me.served.kept()
    [(item, said)] = me.said()
    assert (item, said.comment) == (first, "It was hard to say.")
    assert [queue.by_id[item].texts[slot].strip() for slot in said.ranking] == kept


def ranked(page: Any) -> list[str]:
    """The answers by their places, best first, without a script."""
    fields = sorted(page.locator("#order select").all(), key=lambda field: field.input_value())
    slots = [field.get_attribute("name").removeprefix("rank-") for field in fields]
    return [page.locator(f"#answer-{slot} .prose").inner_text().strip() for slot in slots]


# ---------------------------------------------------------------- for everyone

NAMED = {"button", "textbox", "combobox", "radio", "checkbox", "link", "progressbar", "DisclosureTriangle"}

# What has the focus: which it is, whether one sees that it has, and whether one sees it at all.
FOCUSED = """() => {
    const element = document.activeElement;
    if (!element || element === document.body) return null;
    const drawn = element.matches(".segments input") ? element.nextElementSibling : element;
    const style = getComputedStyle(drawn);
    const box = drawn.getBoundingClientRect();
    const there = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    return {
        name: element.value || element.ariaLabel || element.innerText || element.id,
        choice: element.matches(".choice, .cannot"),
        ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
        seen: Boolean(there) && (drawn.contains(there) || element.contains(there) || there.contains(drawn)),
    };
}"""


@pytest.fixture(scope="module")
def tour(browser: Any, pairs: Newcomer, rankings: Newcomer, demonstrations: Newcomer) -> dict[str, str]:
    """An address of every kind of page."""
    me, done, against = pairs(), pairs(), pairs()
    context = browser.new_context()
    page = context.new_page()
    for person, better, how_many in ((me, "Because of", 2), (done, "It follows", PROMPTS), (against, "Because of", 1)):
        page.goto(person.link)
        for _ in range(how_many):
            judge(page, "left-much" if better in page.inner_text("#left") else "right-much")
    context.close()
    with httpx2.Client(timeout=30) as client:
        following = [client.get(one.link, follow_redirects=True) for one in (me, rankings(), demonstrations())]
    pair, ranking, demonstration = (str(answer.url) for answer in following)
    return {
        "pair": pair,
        "judged": f"{me.link}/item/{me.did()[0][0]}",
        "ranking": ranking,
        "demonstration": demonstration,
        "history": f"{me.link}/history",
        "pause": f"{me.link}/pause?suggested",
        "done": f"{done.link}/next",
        "message": f"{me.link}/item/none",
        "overview": me.served.links["adjudication"],
        "disputed": f"{me.served.links['adjudication']}/disputed",
    }


def test_every_control_has_a_name_and_every_page_one_heading(tour: dict[str, str], opened: Open) -> None:
    page = opened("about:blank")
    tree = page.context.new_cdp_session(page)
    for name, url in tour.items():
        page.goto(url)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.name = ''; one.open = true; })")
        page.evaluate("document.querySelectorAll('[placeholder]').forEach((one) => { one.placeholder = ''; })")
        nodes = [node for node in tree.send("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
        named = [(node["role"]["value"], node["name"]["value"]) for node in nodes if node["role"]["value"] in NAMED]
        assert [one for one in named if not re.search(r"[^\W\d_]{2}", one[1])] == [], name  # an arrow is no name
        assert len(named) > 1, name
        assert page.locator("h1").count() == 1, name
        assert page.locator("html").get_attribute("lang") == "en", name
        assert page.title(), name


@pytest.mark.parametrize("name", ["pair", "ranking", "demonstration"])
@pytest.mark.parametrize("width", [1280, 390])
def test_tab_reaches_every_choice_and_one_sees_where_it_is(
    tour: dict[str, str], opened: Open, name: str, width: int
) -> None:
    page = opened(tour[name], width=width, height=568)
    page.evaluate("for (const one of document.querySelectorAll('.by-criterion')) one.open = true")
    choices = page.locator(".choice, .cannot").evaluate_all("all => all.map((one) => one.value)")
    reached: list[dict[str, Any]] = []
    for _ in range(80):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUSED)
        if at is None:
            break
        reached.append(at)
    assert [at["name"] for at in reached if not at["ring"]] == []
    assert [at["name"] for at in reached if not at["seen"]] == []
    assert sorted(at["name"] for at in reached if at["choice"]) == sorted(choices)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone_and_is_readable(tour: dict[str, str], opened: Open, scheme: str) -> None:
    page = opened("about:blank", **PHONE, color_scheme=scheme)
    found: dict[str, Any] = {}
    for name, url in tour.items():
        page.goto(url)
        page.evaluate("document.querySelectorAll('details:not(.panel)').forEach((one) => { one.open = true; })")
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found[f"{name} is too wide"] = page.evaluate("document.documentElement.scrollWidth")
        if faint := page.evaluate(FAINT):
            found[f"{name} is faint"] = faint
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] < 128")
        assert dark == (scheme == "dark"), name
    assert found == {}
