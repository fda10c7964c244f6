"""The pages of a site without a browser: what they say, what they cannot be made to say, and what they keep back."""

from __future__ import annotations

import copy
import csv
import io
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import Any

import boards
import pytest
from markdown_it import MarkdownIt

from sciexam.folders import replace_folder
from sciexam.models.public_name import public_name
from sciexam.report import audit
from sciexam.report.audit import Takes
from sciexam.report.calls import Calls
from sciexam.report.gains import Gain
from sciexam.report.plain_text import plain_text
from sciexam.report.site import sentences
from sciexam.report.site.downloads import downloads_of
from sciexam.report.site.lineage_tree import lineage_tree
from sciexam.report.site.names import site_names
from sciexam.report.site.pages import site_files
from sciexam.report.site.provenance import agree_command, command_of, compare_command, judge_command
from sciexam.report.standings.leaderboard import Leaderboard, Row, Standings
from sciexam.report.standings.readme_table import readme_table
from sciexam.report.validating import validation
from sciexam.stats import Estimate, Undefined

NOWHERE = Path("/nonexistent")
NAMES = ("base", "sft", "dpo", "rlhf", "gpt")
MARKS = (
    "</script><script>window.pwned=1</script>\"><img src=x onerror=window.pwned=1>' onload=x </title></style>--><b>",
    "{{7*7}}{% for x in y %}../../",
    "\u202egnp.exe\u2066\x1b[31m\x07\x08\x7f\x85",
    "line\nbreak\r\n# heading | cell",
    "\ud800half",
)


def pages(board: Leaderboard, manifest: dict[str, Any] | None = None, runs: Path = NOWHERE) -> dict[str, str]:
    files = list(site_files(board, downloads_of(board), boards.MANIFEST if manifest is None else manifest, runs))
    assert len(dict(files)) == len(files), "no file is written twice"
    return dict(files)


class Page(HTMLParser):
    """The elements of a page, its links, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def links(self) -> list[str]:
        named = (attrs.get("href") if tag in ("a", "link") else attrs.get("src") for tag, attrs in self.tags)
        return [link for link in named if link is not None]

    @property
    def ids(self) -> list[str]:
        return [str(attrs["id"]) for _, attrs in self.tags if "id" in attrs]

    def values(self, name: str) -> list[dict[str, str | None]]:
        """The attributes of the cells of each row of a contestant, row by row."""
        rows: list[list[dict[str, str | None]]] = []
        for tag, attrs in self.tags:
            if tag == "tr" and "data-name" in attrs:
                rows.append([])
            elif tag == "td" and rows:
                rows[-1].append(attrs)
        return [attrs for row in rows for attrs in row if name in str(attrs.get("class")).split()]


def html(files: dict[str, str]) -> Iterator[tuple[str, str]]:
    return ((name, text) for name, text in files.items() if name.endswith(".html"))


# ---------------------------------------------------------------- what stands there


def test_there_is_a_page_for_everything_and_every_link_leads_to_one() -> None:
    files = pages(boards.made(NAMES, ("physics", "a/b")))
    assert len([name for name in files if name.startswith("contestants/")]) == 5
    assert len([name for name in files if name.startswith("pairs/")]) == 10
    assert {"index.html", "methods.html", "judges/gpt.html", "site.css", "site.js"} < files.keys()
    seen = Page(files["index.html"])
    assert len(seen.ids) == len(set(seen.ids))
    for name, text in html(files):
        for link in Page(text).links:
            if link == "data:,":
                continue
            path, _, target = link.partition("#")
            there = os.path.normpath(PurePosixPath(name).parent / path) if path else name
            assert there in files, f"{name}: {link}"
            if target:
                assert target in Page(files[there]).ids, f"{name}: {link}"
    reached, new = {"index.html"}, ["index.html"]
    while new:
        here = new.pop()
        for link in Page(files[here]).links:
            there = os.path.normpath(PurePosixPath(here).parent / link.partition("#")[0])
            if there in files and there not in reached and there.endswith(".html"):
                reached.add(there)
                new.append(there)
    assert reached == {name for name, _ in html(files)}, "every page can be reached from the first"


def test_the_numbers_of_the_first_page_are_those_of_the_json_digit_for_digit() -> None:
    files = pages(boards.made(NAMES, ("physics", "biology")))
    found = json.loads(files["leaderboard.json"])
    page = Page(files["index.html"])
    rows = [row for one in found["standings"] for row in one["rows"]]
    for name in ("rating", "win_rate", "length_controlled", "reward", "order_consistency"):
        shown = [tuple(attrs.get(f"data-{end}") for end in ("value", "low", "high")) for attrs in page.values(name)]
        expected = [
            tuple(None if row[name][end] is None else str(row[name][end]) for end in ("value", "low", "high"))
            for row in rows
        ]
        assert shown == expected
    for name, key in (("rank", "rank"), ("group", "tie_group"), ("words", "words"), ("n", "prompts"), ("usd", "usd")):
        shown_one = [attrs.get("data-value") for attrs in page.values(name)]
        assert shown_one == [None if row[key] is None else str(row[key]) for row in rows]
    assert any(row["rating"]["value"] is None for row in rows)
    assert any(row["usd"] is None for row in rows)


def test_the_downloads_agree() -> None:
    board = boards.made(NAMES, ("physics", "biology"))
    files = pages(board)
    found = json.loads(files["leaderboard.json"])
    assert found == json.loads(json.dumps(board.to_json()))
    lines = list(csv.DictReader(io.StringIO(files["leaderboard.csv"])))
    rows = [(one["category"] or "", row) for one in found["standings"] for row in one["rows"]]
    assert [(line["category"], line["contestant"]) for line in lines] == [(c, row["contestant"]) for c, row in rows]
    for line, (_, row) in zip(lines, rows, strict=True):
        assert line["rating"] == ("" if row["rating"]["value"] is None else str(row["rating"]["value"]))
    tokens = MarkdownIt("commonmark").enable("table").parse(files["leaderboard.md"])
    cells = [token.content for token in tokens if token.type == "inline"]
    for row in found["standings"][0]["rows"]:
        assert row["contestant"] in cells
        if row["rating"]["value"] is not None:
            assert any(cell.startswith(f"{row['rating']['value']:.0f}") for cell in cells)


@pytest.mark.parametrize(
    ("lows", "highs", "sentence"),
    [
        ((1, 2, 2), (1, 3, 3), "gpt leads: at 95 % no other contestant may hold rank 1."),
        ((1, 1, 3), (2, 2, 3), "gpt has the highest rating, but at 95 % sft may hold rank 1 as well."),
        (
            (1, 1, 1),
            (3, 3, 3),
            "gpt has the highest rating, but nobody leads: at 95 % each of the 3 ranked contestants may hold rank 1.",
        ),
    ],
)
def test_the_answer_says_who_leads_and_who_may_hold_rank_1_as_well(
    lows: tuple[int, ...], highs: tuple[int, ...], sentence: str
) -> None:
    board = boards.made(("base", "sft", "gpt"))
    rows = [replace(row, rank_low=low, rank_high=high) for row, low, high in zip(board.rows, lows, highs, strict=True)]
    assert [row.contestant for row in rows] == ["gpt", "sft", "base"]
    board = replace(board, standings=(replace(board.standings[0], rows=tuple(rows)),))
    assert sentence in Page(pages(board)["index.html"]).text


def test_ranks_stand_in_the_table_of_a_board_without_ratings_and_nothing_is_said_of_ratings() -> None:
    board = boards.made(("base", "sft"))
    none = Undefined("won all its battles")
    rows = [
        replace(row, rank=None, rank_low=low, rank_high=high, rating=none, tie_group=None)
        for row, low, high in zip(board.rows, (1, 2), (1, 3), strict=True)
    ]
    page = pages(replace(board, standings=(replace(board.standings[0], rows=tuple(rows)),)))["index.html"]
    said = Page(page).text
    assert f"{rows[0].contestant} leads: at 95 % no other contestant may hold rank 1." in said
    assert '<span class="value">1</span>' in page
    assert '<span class="value">2–3</span>' in page
    assert "stands at 1000" not in said


def test_a_board_of_which_nothing_is_known_says_so() -> None:
    why = Undefined("no prompt has a usable verdict")
    rows = tuple(Row(name, None, None, None, None, why, why, why, why, None, 0, 0) for name in ("a", "b"))
    board = replace(
        boards.made(("a", "b")),
        standings=(Standings(None, rows, (), why),),
        meetings=(),
        lineage=(),
        failed=2,
        calls=Calls(unasked="the budget of 5 USD is reached"),
    )
    files = pages(board, manifest={})
    text = Page(files["index.html"]).text
    assert "Nobody can be ranked: no prompt has a usable verdict." in text
    assert "Rating is n/a for all: no prompt has a usable verdict." in text
    assert "the budget of 5 USD is reached" in text
    assert "a has no rank: no prompt has a usable verdict." in Page(files["contestants/a.html"]).text


def test_a_column_without_a_value_is_left_out_with_its_reason_and_a_missing_value_has_a_note() -> None:
    page = Page(pages(boards.made(NAMES, rewards=False))["index.html"])
    assert not page.values("reward")
    assert "Reward is n/a for all: no reward of it is in the ledger." in page.text
    assert "n/a for base: it is the baseline." in page.text
    notes = [attrs["href"] for tag, attrs in page.tags if tag == "a" and "-note-" in str(attrs.get("href"))]
    assert notes
    assert all(str(note).removeprefix("#") in page.ids for note in notes)


def test_a_contestant_sees_its_meetings_from_its_own_side() -> None:
    board = boards.made(("base", "sft"))
    (one,) = board.meetings
    assert isinstance(one.win_rate, Estimate)
    files = pages(board)
    mine, other = (Page(files[f"contestants/{name}.html"]) for name in ("sft", "base"))
    assert mine.values("rate")[0]["data-value"] == str(one.win_rate.value)
    assert other.values("rate")[0]["data-value"] == str(1 - one.win_rate.value)
    assert other.values("rate")[0]["data-low"] == str(1 - one.win_rate.high)
    assert f"sft scores {one.win_rate} against base over {one.used} prompts" in Page(files["pairs/base--sft.html"]).text
    assert "sciexam compare base sft --suite exam --judge gpt" in Page(files["pairs/base--sft.html"]).text


def test_the_lineage_is_a_tree_with_the_gain_of_each_stage() -> None:
    half = boards.estimate(0.6, 0.1)
    gains = [Gain(child, parent, ("sft",), "gpt", half) for parent, child in (("a", "b"), ("b", "c"), ("a", "d"))]
    (root,) = lineage_tree(gains)
    assert (root.contestant, [child.contestant for child in root.children]) == ("a", ["b", "d"])
    assert root.children[0].children[0].contestant == "c"
    assert root.children[0].gain is gains[0]
    assert lineage_tree([Gain("a", "b", (), "gpt", half), Gain("b", "a", (), "gpt", half)]) == (), "no end to it"


# ---------------------------------------------------------------- what is never said


def hostile(mark: str) -> Leaderboard:
    """A board in which every text from data begins with `mark`."""
    board = boards.made(
        [mark + name for name in ("base", "sft", "dpo", "x")], (mark + "physics", mark + "b"), mark=mark
    )
    policy: Any = f"{mark}policy"
    return replace(board, run=f"{mark}run", policy=policy, calls=Calls(unasked=f"{mark}no money"))


def hostile_manifest(mark: str) -> dict[str, Any]:
    return {
        "started": f"{mark}now",
        "argv": ["sciexam", f"{mark}leaderboard"],
        "python": f"{mark}3",
        "packages": {"sciexam": f"{mark}0"},
        "commit": f"{mark}0",
        "plan": {
            "prompts": [],
            "suite": {
                "version": f"{mark}1",
                "judges": {f"{mark}gpt": {"backend": f"{mark}openai", "judges": [f"{mark}j"]}},
            },
            "digests": {"rubric": f"{mark}r"},
            "raters": [{"name": f"{mark}gpt", "bench": f"{mark}gpt", "digest": f"{mark}d", "model": f"{mark}m"}],
        },
    }


@cache
def unmarked() -> dict[str, str]:
    return pages(hostile(""), hostile_manifest(""))


@pytest.mark.parametrize("mark", MARKS)
def test_hostile_texts_in_every_field_stay_text(mark: str, tmp_path: Path) -> None:
    plain, marked = unmarked(), pages(hostile(mark), hostile_manifest(mark))
    assert [name.partition("/")[0] for name in plain] == [name.partition("/")[0] for name in marked]
    for (_, one), (name, other) in zip(html(plain), html(marked), strict=True):
        before, after = Page(one), Page(other)
        assert [tag for tag, _ in before.tags] == [tag for tag, _ in after.tags], name
        assert [sorted(attrs) for _, attrs in before.tags] == [sorted(attrs) for _, attrs in after.tags], name
        assert all(".." not in link.replace("../", "", 1) for link in after.links)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", other)
    assert plain_text(mark + "base") in Page(marked["index.html"]).text
    replace_folder(tmp_path / "site", marked.items())
    assert {str(path.relative_to(tmp_path / "site")) for path in tmp_path.rglob("*.html")} == dict(html(marked)).keys()


def test_every_page_has_one_build_and_forbids_all_but_the_site() -> None:
    files = pages(boards.made(NAMES))
    builds, policies = set(), set()
    for name, text in html(files):
        page = Page(text)
        (build,) = [attrs["content"] for tag, attrs in page.tags if attrs.get("name") == "sciexam-build"]
        (policy,) = [str(attrs["content"]) for _, attrs in page.tags if "http-equiv" in attrs]
        builds.add(build)
        policies.add(policy.replace(" 'unsafe-inline'", "") if name == "index.html" else policy)
    assert len(builds) == 1
    assert policies == {
        "default-src 'none'; script-src 'self' file:; style-src 'self' file:; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    }
    again, other = pages(boards.made(NAMES)), pages(boards.made(NAMES, seed=2))
    assert again == files
    assert Page(other["index.html"]).tags != Page(files["index.html"]).tags


def test_the_judge_shows_its_settings_and_no_secret() -> None:
    told = dict(site_files(boards.made(NAMES), {}, boards.MANIFEST, NOWHERE, Takes(usd=0.01)))
    page = Page(told["judges/gpt.html"])
    for said in ("judge-1", "mine.j2", "both orders", "cdcdcdcdcdcd"):
        assert said in page.text
    for kept in ("hunter2", "internal.example", "EXAM_KEY", "secret system prompt", "/home/someone"):
        assert kept not in page.text
    assert "sciexam validate gpt --suite exam" in page.text
    assert "sciexam audit gpt --limit 60 --suite exam" in page.text
    assert re.search(r"To make one, by at most [0-9,]+ calls \(about [0-9.]+ USD\):", page.text)


def test_the_names_of_all_files_are_known_before_they_are_written() -> None:
    board = boards.made(NAMES, ("physics",))
    pairs = [(one.a, one.b) for one in board.meetings]
    assert site_names(board.contestants, pairs, board.judge) == pages(board).keys()


def made_by(*words: str) -> str:
    manifest = boards.MANIFEST | {"argv": ["/opt/bin/sciexam", "leaderboard", *words]}
    return command_of(boards.made(NAMES), manifest)


def test_the_command_names_the_home_folder_as_a_shell_reads_it_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "al"
    monkeypatch.setenv("HOME", str(home))
    command = made_by("--store", f"{home}/my led.sqlite", "--suite", f"{home}ice/exam.yaml", f"--reward={home}/x.jsonl")
    assert command == f"sciexam leaderboard --store ~/'my led.sqlite' --suite {home}ice/exam.yaml --reward ~/x.jsonl"
    assert made_by("--site", f"/disk{home}", "-j", "a; b~") == f"sciexam leaderboard --site /disk{home} -j 'a; b~'"
    assert made_by("--results", str(home)) == "sciexam leaderboard --results ~"
    again = compare_command(boards.made(NAMES), command, "base", "sft")
    kept = f"--suite {home}ice/exam.yaml --store ~/'my led.sqlite'"
    assert again == f"sciexam compare base sft {kept} --judge gpt"
    script = f"printf '%s\n' {command}"
    read = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.splitlines()
    assert f"{home}/my led.sqlite" in read
    assert f"{home}/x.jsonl" in read


def test_commands_of_a_board_of_files_name_the_files_and_no_suite() -> None:
    board = boards.made(("base", "sft", "null"))
    command = made_by("runs/base.jsonl", "my sft.json", "--judge", "v/gpt.jsonl", "--results", "r")
    files = "runs/base.jsonl 'my sft.json'"
    assert compare_command(board, command, "base", "sft") == f"sciexam compare {files} --results r --judge v/gpt.jsonl"
    assert judge_command("audit", board, command) == f"sciexam audit v/gpt.jsonl {files} --results r"
    assert agree_command(board, command) == f"sciexam agree {files} --results r --judge v/gpt.jsonl"


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        ("meta-llama/Llama-3.1-70B-Instruct", "meta-llama/Llama-3.1-70B-Instruct"),
        ("/home/alice/acme/judge-8b/", "judge-8b"),
        ("~/acme/judge-8b", "judge-8b"),
        ("./acme/judge-8b", "judge-8b"),
        ("..\\acme\\judge-8b", "judge-8b"),
        ("C:\\acme\\judge-8b", "judge-8b"),
        ("file:///acme/judge-8b", "judge-8b"),
    ],
)
def test_a_model_has_its_whole_name_and_a_path_its_last_part(model: str, shown: str) -> None:
    assert public_name(model) == shown
    manifest = copy.deepcopy(boards.MANIFEST)
    manifest["plan"]["suite"]["judges"]["gpt"]["model"] = model
    page = Page(pages(boards.made(NAMES), manifest)["judges/gpt.html"])
    assert shown in page.text
    assert model == shown or "acme" not in page.text


# ---------------------------------------------------------------- validations and audits


def number(value: float | None, why: str | None = None) -> dict[str, Any]:
    known = value is not None
    return {
        "value": value,
        "low": value - 0.1 if value is not None else None,
        "high": value + 0.1 if value is not None else None,
        "level": 0.95 if known else None,
        "n": 30,
        "method": "m" if known else None,
        "why": why,
    }


def validation_file(mark: str = "", **changed: Any) -> dict[str, Any]:
    def row(who: str, kind: str, value: float) -> dict[str, Any]:
        figures = {name: number(value) for name in ("accuracy", "accuracy_decided", "alpha", "ac1")}
        return {
            "who": mark + who,
            "kind": kind,
            "items": 60,
            "decided": 50,
            **figures,
            "kappa": number(None, f"{mark}no kappa"),
        }

    rows = [row("gpt", "judge", 0.81), row("Jane Doe", "annotator", 0.77), row("a coin", "baseline", 0.5)]
    return {
        "schema": validation.SCHEMA,
        "suite": "exam",
        "run": f"{mark}v1",
        "rubric": "helpfulness",
        "judge": "gpt",
        "annotators": ["Jane Doe", "John Roe"],
        "labelled": 60,
        "sentence": "Jane Doe said so",
        "against": rows,
    } | changed


def audit_file(mark: str = "", **changed: Any) -> dict[str, Any]:
    line = {
        "name": f"{mark}padding",
        "family": "",
        "measures": f"{mark}what padding does",
        "figure": number(0.42),
        "tolerated": [0.0, 0.3],
        "outcome": "fail",
        "meaning": f"{mark}padding moves it",
    }
    shapes = {**line, "name": "injection", "family": "a shape of its own"}
    return {
        "schema": audit.SCHEMA,
        "suite": "exam",
        "run": f"{mark}a1",
        "rubric": "helpfulness",
        "judge": "gpt",
        "prompts": 24,
        "lines": [line, shapes],
    } | changed


def keep(
    runs: Path, run: str, file: str, value: Any, started: str = "2026-01-01T00:00:00+00:00", digest: str = "cd" * 32
) -> None:
    (runs / run).mkdir(parents=True, exist_ok=True)
    (runs / run / file).write_text(value if isinstance(value, str) else json.dumps(value))
    raters = [{"name": "gpt", "bench": "gpt", "kind": "judge", "digest": digest}]
    (runs / run / "run.json").write_text(json.dumps({"started": started, "plan": {"raters": raters}}))


def judge_page(runs: Path) -> Page:
    files = site_files(boards.made(NAMES), {}, boards.MANIFEST, runs)
    return Page(next(text for name, text in files if name == "judges/gpt.html"))


def judge(runs: Path) -> str:
    return judge_page(runs).text


def test_the_newest_validation_and_audit_of_this_judge_and_rubric_stand_on_its_page(tmp_path: Path) -> None:
    keep(tmp_path, "zed", "validation.json", validation_file(run="old", labelled=11), "2025-01-01T00:00:00+00:00")
    keep(tmp_path, "two", "validation.json", validation_file(), "2026-02-02T10:00:00+00:00")
    keep(tmp_path, "six", "validation.json", validation_file(judge="other", run="other"), "2027-01-01T00:00:00+00:00")
    keep(tmp_path, "ten", "validation.json", validation_file(rubric="other", run="rubric"), "2027-01-01T00:00:00+00:00")
    keep(tmp_path, "audited", "audit.json", audit_file(), "2026-02-03T10:00:00+00:00")
    said = judge(tmp_path)
    assert "On 60 comparisons of this suite that 2 annotators judged. Run v1, 2026-02-02 10:00:00 UTC." in said
    assert "0.81 [0.71, 0.91]" in said
    assert "no kappa" in said
    assert "Jane" not in said, "who annotates is nobody's business"
    assert "fails 2 (padding, injection) and leaves 0 unclear. Run a1" in said
    assert "padding moves it" in said
    assert "<= 0.30" in said, "as on the card"
    assert "A line passes if all of its interval is tolerated, and fails if none of it is." in said
    assert "a shape of its own" not in said
    assert "had other settings then" not in said
    assert "sciexam audit" not in said


def test_a_judge_that_has_changed_since_is_told_on(tmp_path: Path) -> None:
    keep(tmp_path, "one", "validation.json", validation_file(), digest="ef" * 32)
    assert "The judge had other settings then" in judge(tmp_path)


@pytest.mark.parametrize(
    ("rater", "said", "not_said"),
    [
        ({"kind": "human", "name": "Jane Doe"}, "sciexam agree --suite exam --judge gpt", "sciexam validate"),
        ({"kind": "judge", "by_name": True}, "nothing can be shown to a file", "sciexam audit gpt"),
    ],
)
def test_a_judge_that_cannot_be_audited_is_not_told_to_be(rater: dict[str, Any], said: str, not_said: str) -> None:
    plan = boards.MANIFEST["plan"]
    raters = [{"name": "gpt", "bench": "gpt", "digest": "cd" * 32, **rater}]
    files = site_files(boards.made(NAMES), {}, {**boards.MANIFEST, "plan": {**plan, "raters": raters}}, NOWHERE)
    page = Page(next(text for name, text in files if name == "judges/gpt.html"))
    assert said in page.text
    assert not_said not in page.text
    assert "Jane Doe" not in page.text


@pytest.mark.parametrize(
    "value",
    [
        "",
        "[]",
        "null",
        "{",
        "[" * 100_000,
        '{"schema": NaN}',
        json.dumps(validation_file(schema="sciexam/validation/99")),
        json.dumps(validation_file(labelled="many")),
        json.dumps(validation_file(against=[{"who": "gpt"}])),
        json.dumps(validation_file(against="x" * 100)),
        json.dumps(validation_file()).replace("0.81", "NaN"),
        json.dumps(validation_file(run="x" * 100_000)),
    ],
)
def test_a_file_of_another_shape_is_passed_over(tmp_path: Path, value: str) -> None:
    keep(tmp_path, "one", "validation.json", value)
    assert "No validation of this judge on this suite and rubric is at hand" in judge(tmp_path)
    for manifest in ("", "[]", '{"started": 7, "plan": {"raters": [7]}}', '{"plan": []}', '{"plan": {"raters": {}}}'):
        keep(tmp_path, "two", "validation.json", validation_file())
        (tmp_path / "two" / "run.json").write_text(manifest)
        assert "2 annotators judged. Run v1." in judge(tmp_path)


@pytest.mark.parametrize("mark", [mark for mark in MARKS if "\ud800" not in mark])
def test_hostile_texts_in_the_files_of_a_judge_stay_text(tmp_path: Path, mark: str) -> None:
    made = []
    for text, folder in (("", tmp_path / "plain"), (mark, tmp_path / "marked")):
        keep(folder, "one", "validation.json", validation_file(text))
        keep(folder, "two", "audit.json", audit_file(text))
        made.append(judge_page(folder))
    assert made[0].tags == made[1].tags
    assert plain_text(mark + "padding moves it") in made[1].text


# ---------------------------------------------------------------- Markdown for a README


def test_the_table_for_a_readme_has_ranks_intervals_and_a_footnote() -> None:
    board = boards.made(NAMES)
    made = readme_table(board)
    tokens = [token.content for token in MarkdownIt("commonmark").enable("table").parse(made) if token.type == "inline"]
    assert tokens[:3] == ["rank", "contestant", "rating"]
    assert tokens.count("n/a") >= 2
    row = board.rows[1]
    assert isinstance(row.rating, Estimate)
    assert f"{row.rating.value:.0f} [{row.rating.low:.0f}, {row.rating.high:.0f}]" in made.replace("\\", "")
    footnote = made.split("\n\n")[1]
    for said in ("judge gpt", "helpfulness", "400 prompts", "95 %", "0123456789abcdef"):
        assert said in footnote.replace("\\", "")


@pytest.mark.parametrize("mark", MARKS)
def test_nothing_in_a_record_becomes_markup_in_the_table_for_a_readme(mark: str) -> None:
    kinds = []
    for text in ("", mark):
        board = boards.made([text + name for name in ("base", "sft")], mark=text)
        tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(readme_table(board))
        kinds.append([child.type for token in tokens for child in (token, *(token.children or ()))])
    assert set(kinds[1]) <= {*kinds[0], "text_special"}
    assert kinds[1].count("tr_open") == kinds[0].count("tr_open")


def test_a_pair_beside_one_half_is_no_conclusion_and_a_contestant_never_met_is_named() -> None:
    board = boards.made(("base", "sft", "null"))
    (one, *_) = board.meetings
    assert "nothing is tested or corrected here, as `sciexam compare` does" in sentences.meeting(
        board, replace(one, win_rate=boards.estimate(0.65, 0.1))
    )
    rows = tuple(replace(row, tie_group=1) for row in board.rows)
    met = tuple(one for one in board.meetings if {one.a, one.b} != {"sft", "null"})
    board = replace(board, meetings=met, standings=(replace(board.standings[0], rows=rows),))
    row = next(row for row in rows if row.contestant == "sft")
    assert sentences.place(board, row).endswith("; it never met null.")
