"""What annotators do on the real page, and that the ledger and the commands after it have exactly that."""

from __future__ import annotations

import json
import random
import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pytest

from sciexam.annotate.said import read_body
from study import Study

Serve = Callable[..., Study]
Open = Callable[..., Any]

CHOICES = ("left-much", "left-slightly", "right-slightly", "right-much")
PHONE = {"width": 390, "height": 844, "has_touch": True, "is_mobile": True}


@dataclass(frozen=True)
class Did:
    """What an annotator saw on the left, and did."""

    left: str
    choice: str
    comment: str = ""
    criteria: tuple[tuple[str, str], ...] = ()


def go(page: Any, act: Callable[[], None]) -> None:
    """Do something that opens another page, and wait for it."""
    before = page.url
    act()
    page.wait_for_url(lambda url: url != before)


def on_the_left(page: Any) -> str:
    return "base" if "Because of" in page.inner_text("#left") else "sft"


def by_keyboard(page: Any, plan: Iterator[str]) -> Iterator[Did]:
    """Digits, and C for a comment on every third."""
    for number, choice in enumerate(plan):
        comment = ""
        if number % 3 == 0:
            page.keyboard.press("c")
            comment = f"typed on {number}: 1 2 3 u"
            page.keyboard.type(comment)
            page.keyboard.press("Escape")
        yield Did(on_the_left(page), choice, comment)
        go(page, lambda choice=choice: page.keyboard.press(str(CHOICES.index(choice) + 1)))


def by_mouse(page: Any, plan: Iterator[str]) -> Iterator[Did]:
    """Clicks; criteria by radio buttons on every second."""
    for number, choice in enumerate(plan):
        criteria: tuple[tuple[str, str], ...] = ()
        if number % 2 == 0:
            if not page.locator(".by-criterion").evaluate("details => details.open"):
                page.click(".by-criterion summary")
            page.check("input[name=criterion-1][value=right]", force=True)
            criteria = (("correctness", "right"),)
        yield Did(on_the_left(page), choice, criteria=criteria)
        go(page, lambda choice=choice: page.click(f"button[value={choice}]"))


def by_touch(page: Any, plan: Iterator[str]) -> Iterator[Did]:
    for choice in plan:
        yield Did(on_the_left(page), choice)
        go(page, lambda choice=choice: page.tap(f"button[value={choice}]"))


def by_tab_and_enter(page: Any, plan: Iterator[str]) -> Iterator[Did]:
    """Without JavaScript, with the keys that every page has."""
    for choice in plan:
        yield Did(on_the_left(page), choice)
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.value") == choice:
                break
        go(page, lambda: page.keyboard.press("Enter"))


def test_four_annotators_and_the_ledger_holds_exactly_what_they_did(study: Serve, opened: Open) -> None:
    served = study("--annotators", "4", prompts=6)
    ways = [
        (by_keyboard, {}),
        (by_mouse, {}),
        (by_touch, PHONE),
        (by_tab_and_enter, {"width": 390, "height": 844, "java_script_enabled": False}),
    ]
    expected: dict[str, list[Did]] = {}
    for number, (way, options) in enumerate(ways, 1):
        page = opened(served.links[f"annotator-{number}"], **options)
        plan = random.Random(number).choices(CHOICES, k=6)
        expected[f"annotator-{number}"] = list(way(page, iter(plan)))
        assert "Nothing left to judge" in page.inner_text("main")
    queue, done, people = served.kept()
    kept: dict[str, list[Did]] = {name: [] for name in expected}
    for one in done:
        said = read_body(one.choice, one.body)
        left = queue.by_id[one.item].by[one.shown[0]]
        did = Did(left, one.choice, said.comment, tuple(said.criteria.items()))
        kept[people[one.annotator].pseudonym].append(did)
    assert kept == expected
    assert all(one.seconds is not None and 0 < one.seconds < 60 for one in done)
    agreed = json.loads(served.run("agree", "base", "sft", "--suite", "exam.yaml", "--json").stdout)
    assert [one["rater"] for one in agreed["raters"] if one["kind"] == "human"] == sorted(expected)


def test_a_held_key_judges_one_item(study: Serve, opened: Open) -> None:
    served = study("--annotators", "1", prompts=4)
    page = opened(served.links["annotator-1"])
    go(page, lambda: page.keyboard.down("1"))
    for _ in range(5):
        page.keyboard.down("1")  # a second down without an up is the repetition of a held key
        page.wait_for_timeout(50)
    page.keyboard.up("1")
    assert len(served.kept()[1]) == 1


def test_letters_and_digits_do_nothing_while_one_types(study: Serve, opened: Open) -> None:
    served = study("--annotators", "1", prompts=2)
    page = opened(served.links["annotator-1"])
    before = page.url
    page.click("textarea[name=comment]")
    page.keyboard.type("1 2 0 u r b h n ?")
    page.wait_for_timeout(300)
    assert page.url == before
    assert page.input_value("textarea[name=comment]") == "1 2 0 u r b h n ?"
    assert served.kept()[1] == []


@pytest.mark.slow
@pytest.mark.parametrize("pause", [100, 350])
def test_a_page_that_is_loaded_again_at_once_has_the_newest_draft(study: Serve, opened: Open, pause: int) -> None:
    served = study("--annotators", "1", prompts=2)
    page = opened(served.links["annotator-1"])
    slow_drafts(page)
    page.fill("textarea[name=comment]", "the older one")
    page.wait_for_timeout(1500)
    page.fill("textarea[name=comment]", "the newest one")
    page.wait_for_timeout(pause)
    page.reload()
    assert page.input_value("textarea[name=comment]") == "the newest one"
    page.wait_for_timeout(1500)
    page.reload()
    assert page.input_value("textarea[name=comment]") == "the newest one", "and the ledger has it"


def slow_drafts(page: Any) -> None:
    """Each draft takes half a second on its way."""
    page.route("**/draft", lambda route: (time.sleep(0.5), route.continue_()))


def test_a_draft_is_sent_when_its_field_is_left(study: Serve, opened: Open) -> None:
    served = study("--annotators", "1", prompts=2)
    page = opened(served.links["annotator-1"])
    page.evaluate("window.setTimeout = () => 0")  # no draft is sent by a timer
    page.fill("textarea[name=comment]", "said")
    with page.expect_response("**/draft"):
        page.keyboard.press("Escape")


def test_u_takes_back_and_the_item_is_judged_anew(study: Serve, opened: Open) -> None:
    served = study("--annotators", "1", prompts=3)
    page = opened(served.links["annotator-1"])
    first = page.url
    go(page, lambda: page.keyboard.press("1"))
    go(page, lambda: page.keyboard.press("u"))
    assert page.url == first
    assert "Taken back" in page.inner_text("main")
    go(page, lambda: page.keyboard.press("4"))
    assert page.url != first
    assert [one.choice for one in served.kept()[1]] == ["left-much", "withdrawn", "right-much"]


def test_a_narrow_page_has_room_for_the_words_of_its_buttons_and_all_is_at_the_thumb(
    study: Serve, opened: Open
) -> None:
    def long(name: str, prompt: int, sample: int) -> str:
        return f"{name} {prompt}: " + "One of many sentences, all of which are read. " * 200

    served = study("--annotators", "1", prompts=1, texts=long)
    page = opened(served.links["annotator-1"], width=390)
    assert page.locator(".cannot").bounding_box()["y"] < 800, "however long the answers are"
    page.click("text=Comment, by criterion")
    assert 0 < page.locator("#comment").bounding_box()["y"] < 800
    assert not page.locator(".choice kbd").first.is_visible()
    assert page.locator(".choice").evaluate_all("all => all.every(one => one.scrollWidth <= one.clientWidth)")
    page.set_viewport_size({"width": 1000, "height": 800})
    assert page.locator(".choice kbd").first.is_visible()


def test_the_rubric_is_one_key_away(study: Serve, opened: Open) -> None:
    served = study("--annotators", "1", prompts=1)
    page = opened(served.links["annotator-1"])
    assert not page.is_visible("#rubric .panel")
    page.keyboard.press("r")
    assert page.is_visible("#rubric .panel")
    assert "Does the answer do what was asked" in page.inner_text("#rubric .panel")
    page.keyboard.press("Escape")
    assert not page.is_visible("#rubric .panel")


def test_the_owners_page_tells_the_win_rate_of_the_second_also_where_the_first_is_ahead(
    study: Serve, opened: Open
) -> None:
    served = study("--annotators", "1", prompts=8)
    judging = opened(served.links["annotator-1"])
    for _ in range(8):
        key = "1" if on_the_left(judging) == "base" else "4"
        go(judging, lambda: judging.keyboard.press(key))  # noqa: B023
    page = opened(served.links["adjudication"])
    assert "base is ahead of sft, which has a win rate of 0.00 [0.00, " in page.inner_text(".lead")
    result = page.locator(".contest .result").inner_text()
    assert result.startswith("0.00")
    assert "is the win rate of sft on 8 comparisons" in result
    assert page.locator(".contest .axis text").all_text_contents() == ["0", "0.25", "0.5", "0.75", "1"]


def test_the_commands_of_the_owners_page_run_as_they_stand(study: Serve, opened: Open) -> None:
    served = study("base.jsonl", "sft.jsonl", "--rubric", "helpfulness", "--annotators", "1", prompts=2)
    judging = opened(served.links["annotator-1"])
    for _ in range(2):
        go(judging, lambda: judging.keyboard.press("1"))
    commands = opened(served.links["adjudication"]).locator(".commands code").all_inner_texts()
    assert len(commands) == 3
    for line in commands:
        assert "base.jsonl sft.jsonl" in line
        done = served.run(*shlex.split(line.replace("JUDGE", "measures"))[1:])
        assert done.returncode == 0, (line, done.stderr)
        assert "another rubric" not in done.stdout


@pytest.mark.slow
def test_answers_are_ranked_by_keys_by_dragging_and_without_a_script(study: Serve, opened: Open) -> None:
    served = study("--task", "ranking", "--samples", "2", "--annotators", "3", "--overlap", "3", **four_samples())
    wanted = ["Text 1 of sft", "Text 0 of base", "Text 0 of sft", "Text 1 of base"]
    rankers = [(rank_by_digits, {}), (rank_by_dragging, {}), (rank_by_numbers, {"java_script_enabled": False})]
    for number, (rank, options) in enumerate(rankers, 1):
        page = opened(served.links[f"annotator-{number}"], **options)
        rank(page, wanted)
        go(page, lambda page=page: page.click("button[value=ranking]"))
    queue, done, _ = served.kept()
    for one in done:
        item = queue.by_id[one.item]
        assert [item.texts[slot] for slot in read_body(one.choice, one.body).ranking] == wanted
    assert served.run("annotate", "export", "preferences", "-o", "pairs.jsonl").returncode == 0
    pairs = [json.loads(line) for line in (served.folder / "pairs.jsonl").read_text().splitlines()]
    implied = {(better, worse) for better, worse in combinations(wanted, 2)}
    assert {(pair["chosen"], pair["rejected"]) for pair in pairs} == implied


def four_samples() -> dict[str, Any]:
    return {"prompts": 1, "texts": lambda name, prompt, sample: f"Text {sample} of {name}", "samples": 2}


def row(page: Any, text: str) -> Any:
    """The line of an answer in the order, by its text."""
    for answer in page.locator("article.answer").all():
        if answer.locator(".prose").inner_text().strip() == text:
            return page.locator(f"#order li[data-slot='{answer.get_attribute('data-slot')}']")
    raise AssertionError(text)


def order(page: Any) -> list[str]:
    """The answers as they are ranked, best first."""
    slots = [one.get_attribute("data-slot") for one in page.locator("#order li").all()]
    return [page.locator(f"#answer-{slot} .prose").inner_text().strip() for slot in slots]


def rank_by_digits(page: Any, wanted: list[str]) -> None:
    for place, text in enumerate(wanted, 1):
        row(page, text).locator(".handle").focus()
        page.keyboard.press(str(place))
    assert order(page) == wanted


def rank_by_dragging(page: Any, wanted: list[str]) -> None:
    for place, text in enumerate(wanted):
        handle = row(page, text).locator(".handle").bounding_box()
        target = page.locator("#order li").nth(place).bounding_box()
        x = handle["x"] + handle["width"] / 2
        page.mouse.move(x, handle["y"] + handle["height"] / 2)
        page.mouse.down()
        page.mouse.move(x, target["y"] + target["height"] / 2 - 4, steps=15)
        page.mouse.up()
    assert order(page) == wanted


def rank_by_numbers(page: Any, wanted: list[str]) -> None:
    for place, text in enumerate(wanted, 1):
        row(page, text).locator("select").select_option(str(place))


@pytest.mark.parametrize("script", [True, False])
def test_demonstrations_are_accepted_edited_and_rejected(study: Serve, opened: Open, script: bool) -> None:
    served = study("sft", "--task", "demonstrations", "--annotators", "1", "--overlap", "1", prompts=3)
    page = opened(served.links["annotator-1"], java_script_enabled=script)
    go(page, lambda: page.click("button[value=accept]"))
    page.fill("textarea[name=text]", "What I would say,\nin two lines.")
    go(page, lambda: page.click("button[value=edit]"))
    go(page, lambda: page.click("button[value=reject]"))
    assert served.run("annotate", "export", "demonstrations", "-o", "sft2.jsonl").returncode == 0
    lines = [json.loads(line) for line in (served.folder / "sft2.jsonl").read_text().splitlines()]
    assert [line["decision"] for line in lines] == ["accept", "edit"]
    assert lines[0]["completion"].startswith("It follows from law")
    assert lines[1]["completion"] == "What I would say,\nin two lines."


def test_the_owner_sees_the_study_and_adjudicates(study: Serve, opened: Open) -> None:
    served = study("--annotators", "2", "--overlap", "2", prompts=3)
    for number, key in ((1, "1"), (2, "1")):  # the same side of a swapped pair: they disagree on everything
        page = opened(served.links[f"annotator-{number}"])
        for _ in range(3):
            go(page, lambda page=page: page.keyboard.press(key))  # noqa: B023
    page = opened(served.links["adjudication"])
    assert "3 of 3" in page.inner_text("main")
    page.goto(f"{served.links['adjudication']}/disputed")
    page.locator("button[value=right-much]").first.click()
    page.wait_for_load_state()
    with served.store() as store:
        queue, _, _ = served.kept()
        from sciexam.annotate.overview import Overview

        assert Overview(store, queue).adjudicated == 1
    done = served.run("compare", "base", "sft", "--suite", "exam.yaml", "-j", "humans", "--json")
    assert json.loads(done.stdout)["pairs"][0]["win_rate"]["value"] in (pytest.approx(2 / 3), pytest.approx(1 / 3))


def test_the_owner_decides_by_a_key_before_seeing_who_said_what_on_a_page_that_fits(study: Serve, opened: Open) -> None:
    def long_line(name: str, prompt: int, sample: int) -> str:
        return f"As {name} {prompt} says:\n\n```\n{'x' * 300}\n```\n"

    served = study("--annotators", "2", "--overlap", "2", prompts=2, texts=long_line)
    for number in (1, 2):
        page = opened(served.links[f"annotator-{number}"])
        for _ in range(2):
            go(page, lambda page=page: page.keyboard.press("1"))
    for width in (1280, 390):
        page = opened(f"{served.links['adjudication']}/disputed", width=width)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
    assert not page.get_by_text("annotator-1").first.is_visible()
    page.locator("article.dispute button[value=tie]").first.scroll_into_view_if_needed()
    page.wait_for_selector("article.dispute[data-current]")
    go(page, lambda: page.keyboard.press("3"))
    assert "Saved: Equally good." in page.inner_text("main")
    decided = page.locator("details.dispute")
    decided.locator("summary").first.click()
    assert decided.get_by_text("annotator-1").first.is_visible()
    with served.store() as store:
        from sciexam.annotate.overview import Overview

        queue, _, _ = served.kept()
        assert [one.adjudicated.winner for one in Overview(store, queue).disputed if one.adjudicated] == [""]


def test_what_decides_a_disagreement_is_at_hand_however_long_its_answers_are(study: Serve, opened: Open) -> None:
    served = study("--annotators", "2", "--overlap", "2", prompts=1, texts=lambda name, *_: f"{name} says. " * 2_000)
    for number in (1, 2):
        page = opened(served.links[f"annotator-{number}"])
        go(page, lambda page=page: page.keyboard.press("1"))
    for width, height in ((1280, 900), (390, 844)):
        page = opened(f"{served.links['adjudication']}/disputed", width=width)
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate("scrollTo(0, 2000)")
        page.wait_for_selector("article.dispute[data-current]")
        assert page.locator("article.dispute").bounding_box()["height"] > 3_000
        for button in page.locator("article.dispute button").all():
            box = button.bounding_box()
            assert box["y"] > 0, width
            assert box["y"] + box["height"] <= height, width
    page.get_by_text("to Right").click()
    right = page.locator("article.answer.right").bounding_box()
    assert right["y"] < height / 2
