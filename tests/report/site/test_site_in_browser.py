"""A site in a real browser: from a disk and a server, with a script and without, by mouse, by keyboard, on a phone."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boards
import pytest

import sciexam as sx
from reading import FAINT
from sciexam.report.site import write_site
from sciexam.report.site.downloads import downloads_of
from test_alpacaeval import RATER, REFERENCE, objects, suite_file, verdict_lines, write_jsonl

NAMES = (
    *("base", "sft", "dpo", "meta-llama/Llama-3.1-70B-Instruct-AWQ-int4-2026-01-31", "Qwen2.5", "qwen2.5"),
    *("../../x", '"><img src=x onerror=window.pwned=1>'),
)
CATEGORIES = ("physics", "</script><script>window.pwned=1</script>")
KINDS = (
    *("index.html", "methods.html", "judges/gpt.html", "contestants/sft.html", "contestants/base.html"),
    *("pairs/base--sft.html", "pairs/sft--dpo.html"),
)


@dataclass
class Site:
    """A written site, from one origin. `asked` and `said` are what its pages requested and wrote to the console."""

    folder: Path
    origin: str
    open: Callable[..., Any]
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def page(self, name: str = "index.html", width: int = 1280, **options: Any) -> Any:
        page = self.open("about:blank", width=width, **options)
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("response", lambda answer: self.said.extend([answer.url] if answer.status >= 400 else []))
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: self.said.append(dialog.message))
        page.goto(f"{self.origin}/{name}")
        return page


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "leaderboard"
    board = boards.made(NAMES, CATEGORIES)
    write_site(board, downloads_of(board), boards.MANIFEST, folder, folder.parent)
    return folder


@pytest.fixture(scope="module")
def served(written: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(written))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def site(written: Path, opened: Callable[..., Any]) -> Iterator[Site]:
    """The site from a disk. Whatever a test does, nothing is asked of anybody else and nothing is wrong."""
    made = Site(written, written.as_uri(), opened)
    yield made
    assert [url for url in made.asked if not url.startswith((made.origin, "data:"))] == []
    assert made.said == []


def column(page: Any, name: str, table: str = "#overall") -> list[Any]:
    """The values of a column from the top down, None where there is none; of contestants the names."""
    if name == "contestant":
        return [row.get_attribute("data-name") for row in page.locator(f"{table} tbody tr").all()]
    found = [cell.get_attribute("data-value") for cell in page.locator(f"{table} td.{name}").all()]
    return [None if value is None else float(value) for value in found]


def is_sorted(values: list[Any], way: str) -> bool:
    known = [value for value in values if value is not None]
    return values == [*sorted(known, reverse=way == "descending"), *[None] * (len(values) - len(known))]


def focused(page: Any) -> str:
    return str(page.evaluate("document.activeElement.innerText || document.activeElement.id"))


@pytest.mark.parametrize("origin", ["disk", "server"])
def test_every_kind_of_page_opens_and_loads_nothing_from_elsewhere(
    site: Site, served: str, written: Path, origin: str
) -> None:
    if origin == "server":
        site.origin = served
    strangers = sorted(str(path.relative_to(written)) for path in written.glob("contestants/*~*.html"))
    assert len(strangers) == 4
    page = site.page()
    for name in [*KINDS, *strangers]:
        page.goto(f"{site.origin}/{name}")
        assert page.locator("h1").count() == 1
        assert page.evaluate("getComputedStyle(document.body).maxWidth") != "none", f"{name} has its style"
        assert page.evaluate("window.pwned") is None
    assert page.locator("img").count() == 0
    page.goto(f"{site.origin}/index.html")
    assert page.locator("table.board button").count() > 0, "the script ran"
    assert page.locator("figure svg").count() >= 3
    page.get_by_role("link", name='"><img src=x onerror=window.pwned=1>').first.click()
    assert page.locator("h1").inner_text() == '"><img src=x onerror=window.pwned=1>'
    page.get_by_role("link", name="the pair with base").click()
    assert " against base" in page.locator("h1").inner_text()
    page.get_by_role("link", name="Leaderboard of exam").click()
    assert page.locator("h1").inner_text() == "exam"


def test_a_column_is_sorted_by_mouse_and_by_keyboard_and_what_has_no_value_stands_last(site: Site) -> None:
    page = site.page()
    assert is_sorted(column(page, "rank"), "ascending")
    before = column(page, "contestant")
    heads = page.locator("#overall th[aria-sort]")
    assert [head.inner_text() for head in heads.all()] == ["Rank"]
    for name, label, first in (
        ("rating", "Rating", "descending"),
        ("usd", "USD", "ascending"),
        ("words", "Words", "descending"),
        ("n", "n", "descending"),
    ):
        head = page.locator(f"#overall th.{name}")
        button = head.get_by_role("button", name=label, exact=True)
        for way in (first, {"ascending": "descending", "descending": "ascending"}[first]):
            button.click()
            assert head.get_attribute("aria-sort") == way
            assert is_sorted(column(page, name), way), (name, way)
            assert heads.count() == 1
    assert None in column(page, "rating")
    assert None in column(page, "usd")
    page.locator("#overall th.contestant button").focus()
    page.keyboard.press("Enter")
    names = column(page, "contestant")
    assert names != before
    assert names.index("base") < names.index("dpo") < names.index("sft")
    page.keyboard.press("Space")
    assert column(page, "contestant") == names[::-1]
    assert focused(page).startswith("Contestant"), "the focus stays where it was"
    page.locator("#overall th.rank button").click()
    assert column(page, "contestant") == before, "as it came"


def test_the_filter_shows_the_contestants_whose_name_holds_a_text(site: Site) -> None:
    page = site.page()
    page.get_by_label("Show contestants whose name holds").fill("QWEN")
    assert page.locator("#overall tbody tr:visible").count() == 2
    assert page.get_by_role("status").inner_text() == f"2 of {len(NAMES)}"
    page.locator("#overall th.words button").click()
    page.get_by_role("tab", name="physics").click()
    assert page.locator("#category-physics tbody tr:visible").count() == 2, "in every category"
    page.get_by_label("Show contestants whose name holds").fill("")
    assert page.locator("#category-physics tbody tr:visible").count() == len(NAMES)


def test_the_categories_are_tabs_by_mouse_by_arrows_and_by_address(site: Site) -> None:
    page = site.page()
    tabs = page.get_by_role("tab")
    assert tabs.all_inner_texts() == ["all prompts", *CATEGORIES]
    assert page.locator(".standings:visible").count() == 1
    page.get_by_role("tab", name="physics").click()
    assert page.get_by_role("tabpanel").get_attribute("id") == "category-physics"
    assert page.url.endswith("#category-physics")
    page.keyboard.press("ArrowRight")
    assert focused(page) == CATEGORIES[1]
    assert page.locator("[aria-selected=true]").inner_text() == CATEGORIES[1]
    for key, name in (("Home", "all prompts"), ("ArrowLeft", CATEGORIES[-1]), ("End", CATEGORIES[-1])):
        page.keyboard.press(key)
        assert focused(page) == name
    assert [tab.get_attribute("tabindex") for tab in tabs.all()] == ["-1", "-1", "0"]
    shared = page.url
    for address in ("index.html#category-physics", shared.rpartition("/")[2]):
        linked = site.page(address)
        (shown,) = linked.locator(".standings:visible").all()
        assert shown.get_attribute("id") == address.partition("#")[2]
    linked.goto(f"{site.origin}/index.html#category-physics")
    assert linked.locator("#category-physics").is_visible(), "also where the page is open already"
    contestant = site.page("contestants/sft.html")
    contestant.get_by_role("link", name="physics").click()
    assert contestant.locator("#category-physics").is_visible()


def test_without_a_script_everything_stands_there_in_the_order_of_the_ranks(site: Site, written: Path) -> None:
    page = site.page(java_script_enabled=False)
    assert page.locator(".standings:visible").count() == 1 + len(CATEGORIES)
    assert page.locator("table.board button").count() == 0
    assert not page.locator("#filter").is_visible()
    board = json.loads((written / "leaderboard.json").read_text())
    for one, table in zip(board["standings"], page.locator(".standings").all(), strict=True):
        names = [row.get_attribute("data-name") for row in table.locator("tbody tr").all()]
        assert names == [row["contestant"] for row in one["rows"]]
    page.get_by_role("link", name="physics").click()
    assert page.url.endswith("#category-physics")
    for label in ("Figures", "Lineage", "Downloads", "How it was made"):
        assert page.get_by_role("heading", name=label, exact=True).is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read_in_both_themes(site: Site, scheme: str) -> None:
    page = site.page(color_scheme=scheme)
    for name in KINDS:
        page.goto(f"{site.origin}/{name}")
        assert page.evaluate(FAINT) == [], name


def test_on_a_phone_the_page_fits_and_a_table_moves_within_its_box_beside_the_names(site: Site) -> None:
    page = site.page(width=390)
    for name in KINDS:
        page.goto(f"{site.origin}/{name}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        for box in page.locator(".scroll:visible:has(table.board)").all():
            first = box.locator("tbody th").first
            before = first.bounding_box()["x"]
            assert box.evaluate("box => { box.scrollLeft = 10000; return box.scrollLeft; }") > 60
            assert 0 <= first.bounding_box()["x"] <= before, "the name is still in sight"


def test_everything_that_can_be_used_has_a_name_and_the_focus_walks_down_the_page(site: Site) -> None:
    page = site.page()
    used = page.locator("a:visible, button:visible, input:visible, [tabindex]:visible")
    named = used.evaluate_all(
        "all => all.map(one => (one.labels?.[0]?.innerText || one.ariaLabel || one.innerText || '').trim())"
    )
    assert len(named) > 30
    assert all(named), named
    order = []
    for _ in range(25):
        page.keyboard.press("Tab")
        place = page.evaluate(
            """() => {
                const one = document.activeElement, style = getComputedStyle(one);
                const all = [...document.querySelectorAll("*")];
                return [all.indexOf(one), style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
            }"""
        )
        order.append(place[0])
        assert place[1], "one sees where the focus is"
    assert order == sorted(order)
    tree = page.get_by_role("list", name="Lineage")
    assert tree.get_by_role("listitem").count() == 3
    assert page.get_by_role("table").first.get_by_role("rowheader").count() == len(NAMES)


def test_on_paper_all_categories_stand_there(site: Site) -> None:
    page = site.page()
    page.emulate_media(media="print")
    assert page.locator(".standings:visible").count() == 1 + len(CATEGORIES)
    assert not page.locator(".tabs").is_visible()


@pytest.mark.slow
def test_a_board_of_real_verdicts_shows_the_published_win_rates(
    tmp_path: Path, shared_data: Path, opened: Callable[..., Any]
) -> None:
    """AlpacaEval 1 by GPT-4's recorded verdicts: eight models against text_davinci_003, and the null contestant."""
    published = json.loads((shared_data / "alpacaeval" / "published.json").read_text())["v1"]
    asked = objects(shared_data, "prompts.jsonl.gz")
    prompts = [{"id": p["index"], "text": p["instruction"], "category": p["dataset"]} for p in asked]
    names = [REFERENCE["v1"], *published]
    for name in names:
        lines = [{"prompt": p["id"], "text": f"(the answer of {name} to {p['id']} is not at hand)"} for p in prompts]
        write_jsonl(tmp_path / f"{name}.jsonl", lines)
    verdicts = list(verdict_lines(shared_data, "v1", {str(p["id"]) for p in prompts}))
    assert {line["rater"] for line in verdicts} == {RATER["v1"]}
    suite = sx.load_suite(str(suite_file(tmp_path, prompts, verdicts, names)))
    board = sx.leaderboard(suite, judge="gpt-4", pairs="baseline", results=tmp_path)
    folder = tmp_path / suite.name / "leaderboard"
    found = json.loads((folder / "leaderboard.json").read_text())
    assert found == json.loads(json.dumps(board.to_json()))
    page = opened((folder / "index.html").as_uri())
    assert page.locator(".headline").inner_text().startswith("gpt4 leads: at 95 % no other contestant")
    assert page.locator("#overall tbody tr").count() == 10
    for model, row in published.items():
        line = page.locator(f"#overall tr[data-name='{model}']")
        shown = float(line.locator("td.win_rate").get_attribute("data-value"))
        assert 100 * shown == pytest.approx(row["win_rate"], abs=1e-9)
        assert line.locator("td.win_rate .value").inner_text() == f"{shown:.2f}"
        page.goto((folder / "pairs" / f"text_davinci_003--{model}.html").as_uri())
        counts = f"won {row['n_wins']}", f"tied {row['n_draws']}", f"won {row['n_wins_base']}"
        assert all(count in page.locator(".key").inner_text() for count in counts)
        page.go_back()
    texts = [p["instruction"] for p in asked if len(p["instruction"]) > 40]
    for path in folder.rglob("*"):
        if path.is_file():
            held = path.read_text()
            assert not any(text in held for text in texts), f"{path.name} holds a prompt"
