"""An annotator double-clicks, holds a key down, goes back, and uses two tabs and two devices."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from clicker import turn_of
from newcomers import (
    PHONE,
    PROMPTS,
    SCRIPT,
    Newcomer,
    Open,
    Person,
    Serve,
    arrive,
    go,
    held_back,
    item_of,
    judge,
    middle_of,
    told,
    until,
)
from rows import Tally
from sciexam.annotate.said import Said
from study import chromium

# ---------------------------------------------------------------- what the server makes of it


def test_sixteen_posts_at_once_are_one_judgement_and_the_other_choice_is_told_so(study: Serve, tally: Tally) -> None:
    served = study("--annotators", "1", prompts=PROMPTS)
    me, start, told = Person(served, "annotator-1"), threading.Barrier(16), []
    client = httpx2.Client(timeout=30)
    form = client.get(me.link, follow_redirects=True)

    def post(choice: str) -> None:
        start.wait()
        answer = client.post(str(form.url), data={"choice": choice, "turn": turn_of(form.text)})
        told.append((choice, answer.status_code, answer.text))

    threads = [threading.Thread(target=post, args=(("left-much", "right-much")[n % 2],)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.close()
    [(item, choice)] = me.did()
    assert item == str(form.url).rpartition("/")[2]
    assert sorted(status for said, status, _ in told if said == choice) == [303] * 8
    refused = [text for said, status, text in told if said != choice and status == 409]
    assert len(refused) == 8
    assert all("You judged this already, in another window or before." in text for text in refused)
    tally(16)


def test_a_changed_mind_is_a_second_judgement_and_the_history_keeps_both(study: Serve) -> None:
    served = study("--annotators", "1", prompts=PROMPTS)
    me = Person(served, "annotator-1")
    form = httpx2.get(me.link, follow_redirects=True)
    for choice, turn in (("left-much", 0), ("right-much", 1)):
        assert httpx2.post(str(form.url), data={"choice": choice, "turn": str(turn)}).status_code == 303
        again = httpx2.get(str(form.url)).text
        assert "You judged this already:" in again
        assert "Choose again to change it" in again
    assert [choice for _, choice in me.did()] == ["left-much", "right-much"]
    history = httpx2.get(f"{me.link}/history").text
    assert "Left much better" in history
    assert "Right much better" in history
    assert served.run("annotate", "export", "verdicts", "-o", "v.jsonl").returncode == 0
    [line] = (served.folder / "v.jsonl").read_text().splitlines()
    assert '"preferred": "second"' in line


# ---------------------------------------------------------------- once too often


@pytest.mark.slow
@SCRIPT
def test_a_double_click_judges_one_item(pairs: Newcomer, opened: Open, script: bool) -> None:
    me = pairs()
    page = opened(me.link, java_script_enabled=script)
    first, held = item_of(page), held_back(page)
    page.mouse.dblclick(*middle_of(page, "button[value=left-slightly]"))
    arrive(page, held)
    assert me.did() == [(first, "left-slightly")]
    assert item_of(page) != first


@pytest.mark.slow
def test_the_second_click_of_a_double_click_does_not_judge_the_item_that_the_first_one_opened(
    pairs: Newcomer, opened: Open
) -> None:
    me = pairs()
    page = opened(me.link)
    first, there = item_of(page), middle_of(page, "button[value=left-much]")
    go(page, lambda: page.mouse.click(*there))
    second = item_of(page)
    page.mouse.down(click_count=2)
    page.mouse.up(click_count=2)
    judge(page, "right-much")
    assert me.did() == [(first, "left-much"), (second, "right-much")]


@pytest.mark.slow
def test_what_is_pressed_while_a_judgement_is_on_its_way_changes_nothing(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    page = opened(me.link)
    first, held = item_of(page), held_back(page)
    page.mouse.click(*middle_of(page, "button[value=left-much]"))
    page.mouse.click(*middle_of(page, "button[value=left-much]"))
    page.mouse.click(*middle_of(page, "button[value=right-much]"))
    for key in ("1", "1", "4", "0", "Enter"):
        page.keyboard.press(key)
    assert arrive(page, held) == 1
    assert me.did() == [(first, "left-much")]


@pytest.mark.slow
@SCRIPT
def test_enter_that_is_held_down_judges_one_item(pairs: Newcomer, opened: Open, script: bool) -> None:
    me = pairs()
    page = opened(me.link, java_script_enabled=script)
    first, held = item_of(page), held_back(page)
    page.focus("button[value=right-slightly]")
    for _ in range(3):
        page.keyboard.down("Enter")  # a down without an up is a repetition
    arrive(page, held)
    page.unroute_all()
    second = item_of(page)
    for _ in range(3):
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    judge(page, "left-much")
    assert me.did() == [(first, "right-slightly"), (second, "left-much")]


@pytest.mark.slow
@SCRIPT
def test_enter_on_a_criterion_judges_nothing(pairs: Newcomer, opened: Open, script: bool) -> None:
    me = pairs()
    page = opened(me.link, java_script_enabled=script)
    first = item_of(page)
    page.click(".by-criterion summary")
    page.check("input[name=criterion-0][value=right]", force=True)
    page.keyboard.press("Enter")
    judge(page, "left-much")
    [(item, said)] = me.said()
    assert (item, said.choice, list(said.criteria.values())) == (first, "left-much", ["right"])


@pytest.mark.slow
def test_sixteen_posts_at_once_from_a_page_are_one_judgement(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    page = opened(me.link)
    replies = page.evaluate("""() => Promise.all(Array.from({length: 16}, async () => {
        const form = document.getElementById("judgement");
        const body = new URLSearchParams(new FormData(form, form.querySelector("button[value=left-much]")));
        const reply = await fetch(form.action, {method: "POST", body, headers: {"X-Sciexam": "1"}});
        return [reply.status, (await reply.json()).next];
    }))""")
    assert me.did() == [(item_of(page), "left-much")]
    assert {status for status, _ in replies} == {200}
    assert len({after for _, after in replies}) == 1


# ---------------------------------------------------------------- back and forward


@pytest.mark.slow
def test_back_shows_what_was_said_and_another_choice_changes_it(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    page = opened(me.link)
    first = item_of(page)
    go(page, lambda: page.keyboard.press("1"))
    second = item_of(page)
    page.go_back()
    assert item_of(page) == first
    assert told(page) == "You judged this already: Left much better. Choose again to change it, or go on."
    assert page.get_by_role("button", name="Left much better (what you said)").count() == 1
    page.go_forward()
    assert item_of(page) == second
    assert page.locator(".notice").count() == 0
    page.go_back()
    go(page, lambda: page.keyboard.press("4"))
    assert item_of(page) == second
    assert me.did() == [(first, "left-much"), (first, "right-much")]
    page.go_back()
    assert "You judged this already: Right much better." in told(page)


@pytest.fixture(scope="module")
def remembering(browser: Any) -> Iterator[Any]:
    """A browser with a back-forward cache, which Playwright switches off elsewhere."""
    made = browser.browser_type.launch(
        executable_path=chromium(),
        args=["--no-sandbox", "--disable-gpu"],
        ignore_default_args=["--disable-back-forward-cache"],
    )
    yield made
    made.close()


@pytest.mark.slow
def test_a_page_out_of_the_back_forward_cache_says_that_its_item_was_judged_since(
    pairs: Newcomer, remembering: Any
) -> None:
    """Chromium keeps no page that has asked for anything by itself, so it is left for the history and opened anew."""
    me, restored = pairs(), []
    with remembering.new_context() as context:
        context.add_init_script("addEventListener('pageshow', (event) => console.log(event.persisted))")
        page = context.new_page()
        page.goto(me.link)
        first = item_of(page)
        go(page, lambda: page.keyboard.press("h"))
        go(page, lambda: page.keyboard.press("n"))
        assert item_of(page) == first
        go(page, lambda: page.keyboard.press("1"))
        page.on("console", lambda line: restored.append(line.text))
        go(page, lambda: page.evaluate("setTimeout(() => history.go(-3))"))
        until(page, lambda: "true" in restored)
        assert item_of(page) == first
        assert "You judged this already: Left much better." in told(page)
        go(page, lambda: page.keyboard.press("4"))
        assert me.did() == [(first, "left-much"), (first, "right-much")]


@pytest.mark.slow
def test_without_javascript_a_form_from_before_is_told_that_its_item_was_judged_since(
    pairs: Newcomer, remembering: Any
) -> None:
    me = pairs()
    with remembering.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(me.link)
        first = item_of(page)
        judge(page, "left-much")
        second = item_of(page)
        page.go_back(wait_until="commit")
        until(page, lambda: item_of(page) == first)
        assert page.locator(".notice").count() == 0  # it is the page of before
        with page.expect_response(lambda response: response.request.method == "POST") as answer:
            page.click("button[value=right-much]")
        assert answer.value.status == 409
        assert "You judged this already, in another window or before." in told(page)
        assert page.locator("[data-said]").get_attribute("value") == "left-much"
        assert me.did() == [(first, "left-much")]
        judge(page, "right-much")
        assert item_of(page) == second
        assert me.did() == [(first, "left-much"), (first, "right-much")]


# ---------------------------------------------------------------- two windows, two devices


def two_windows(me: Person, opened: Open, script: bool) -> tuple[Any, Any, str]:
    """One annotator's window, another one that shows the same item, and that item, judged in the first window."""
    one = opened(me.link, java_script_enabled=script)
    other = one.context.new_page()
    other.goto(one.url)
    first = item_of(one)
    judge(one, "left-much")
    return one, other, first


@pytest.mark.slow
@SCRIPT
def test_another_choice_in_another_tab_is_told_and_changes_nothing(pairs: Newcomer, opened: Open, script: bool) -> None:
    me = pairs()
    one, other, first = two_windows(me, opened, script)
    other.click("button[value=right-much]")
    other.locator(".notice").wait_for()
    assert "You judged this already, in another window or before. What stands is marked" in told(other)
    assert other.locator("[data-said]").get_attribute("value") == "left-much"
    assert item_of(other) == first
    assert me.did() == [(first, "left-much")]
    judge(other, "right-much")
    assert item_of(other) == item_of(one)
    assert me.did() == [(first, "left-much"), (first, "right-much")]


@pytest.mark.slow
@SCRIPT
def test_the_same_choice_in_another_tab_goes_on(pairs: Newcomer, opened: Open, script: bool) -> None:
    me = pairs()
    one, other, first = two_windows(me, opened, script)
    judge(other, "left-much")
    assert item_of(other) == item_of(one) != first
    assert other.locator(".notice").count() == 0
    assert me.did() == [(first, "left-much")]


@pytest.mark.slow
def test_what_was_typed_in_another_tab_is_still_there_when_it_is_told(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    one = opened(me.link)
    other = one.context.new_page()
    other.goto(one.url)
    first = item_of(one)
    judge(one, "left-much")
    other.fill("textarea[name=comment]", "typed here")
    other.click("button[value=right-much]")
    other.locator(".notice").wait_for()
    assert other.input_value("textarea[name=comment]") == "typed here"
    judge(other, "right-much")
    assert me.said() == [(first, Said("left-much")), (first, Said("right-much", "typed here"))]


@pytest.mark.slow
def test_two_devices_of_one_annotator_take_turns(pairs: Newcomer, opened: Open) -> None:
    me = pairs()
    laptop, phone = opened(me.link), opened(me.link, **PHONE, has_touch=True, is_mobile=True)
    expected = []
    for number in range(PROMPTS):
        acts, waits = (laptop, phone) if number % 2 else (phone, laptop)
        assert item_of(acts) == item_of(waits)
        expected.append((item_of(acts), "right-slightly"))
        judge(acts, "right-slightly")
        if number % 2:
            go(waits, lambda waits=waits: waits.goto(me.link))
        else:
            judge(waits, "right-slightly")  # the same again, of what it still shows
    assert me.did() == expected
    assert len({item for item, _ in expected}) == PROMPTS
    for device in (laptop, phone):
        assert "Nothing left to judge" in device.inner_text("h1")
