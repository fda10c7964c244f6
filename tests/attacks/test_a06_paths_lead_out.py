"""An id, a run's name, a file's name, an address or a path in an archive leads out of its folder."""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from asked import SECRET, ask, stored, submit
from conftest import Cli, answers, write_jsonl, write_suite
from rows import Tally
from study import Study

PATHS = (
    *("..", "../..", "../../results/ledger.sqlite", "..%2f..%2fresults%2fledger.sqlite", "%2e%2e", "%2e%2e%2f%2e%2e"),
    *("..%5c..%5cnames.txt", "....//....//names.txt", "%252e%252e%252fnames.txt", "..;/names.txt", "%c0%ae%c0%ae/"),
    *("%00", "x%00.csv", "verdicts.csv%00", "/etc/passwd", "%2fetc%2fpasswd", "//etc/passwd", "file:///etc/passwd"),
    *("%", "%zz", "%ff%fe", "%F0%9F%A6%93", "%0d%0aX-Injected:%201", "verdicts.csv/../verdicts.csv", "*", "~", "-1"),
    *("verdicts", "verdicts.", ".csv", "verdicts.py", "verdicts.csv.csv", "Verdicts.csv", "all.csv", "a" * 20_000),
    *("{0}", "{{7*7}}", "%7B%7B7*7%7D%7D", "' OR '1'='1", '";--', "<script>", "results/ledger.sqlite", "links.csv"),
)


def test_no_path_leads_out_of_the_pages(site: Study, links: dict[str, str], tally: Tally) -> None:
    """In the place of a link, of an item, of a download and of the whole address; as an annotator and as the owner."""
    own, owner = urlsplit(links["Ada"]).path, urlsplit(links["owner"]).path
    before = stored(site)
    for path in (one.replace(" ", "%20").replace('"', "%22") for one in PATHS):
        for place in ("/{0}", "/a/{0}", "/owner/{0}", f"{own}/item/{{0}}", f"{owner}/export/{{0}}", f"{owner}/{{0}}"):
            target = place.replace("{0}", path)
            answer = ask(site, target)
            assert answer.status in (307, 400, 403, 404), target
            assert answer.headers.get("location", site.origin).startswith(site.origin), target
            for leak in ("SQLite format", "root:", "Quagga", "Traceback", "X-Injected: 1", '"responses"', SECRET):
                assert leak not in answer.text
                assert leak not in str(answer.headers)
        for place in (f"{own}/item/{path}", f"{own}/item/{path}/draft", f"{owner}/disputed/{path}"):
            answer = submit(site, place, {"turn": "0", "choice": "left-much"})
            assert answer.status in (307, 400, 404, 405), place
    assert stored(site) == before
    tally(9 * len(PATHS))


def test_a_nul_or_a_space_in_an_address_is_no_request(site: Study, links: dict[str, str]) -> None:
    own = urlsplit(links["Ada"]).path
    for target in (f"{own}/item/\0", f"{own}\0", "/\x00", f"{own} {own}", f"{own}/\x7f", f"{own}/\xff"):
        assert ask(site, target).status == 400


# ---------------------------------------------------------------- the command line

IDS = ("../../x", "..", "/etc/passwd", "%2e%2e%2fx", "a\x00b", "C:\\x", "~/x", "file:///etc/passwd", "x" * 300, "con")
NAMES_OF_MODELS = ("m/../../up", "a..b", "x/y")


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """A folder with room above it to write into: what leads out of it is seen."""
    folder = tmp_path / "one" / "two" / "three"
    folder.mkdir(parents=True)
    return folder


def exam(folder: Path, **more: Any) -> str:
    models = {
        name: {"responses": answers(folder, f"m{i}", [f"{name} says {one}." for one in IDS])}
        for i, name in enumerate(NAMES_OF_MODELS)
    }
    for i in range(len(models)):
        write_jsonl(folder / f"m{i}.jsonl", [{"prompt": one, "text": f"{i} says {one}."} for one in IDS])
    path = write_suite(folder, len(IDS), models, **more)
    write_jsonl(
        folder / "prompts.jsonl", [{"id": one, "text": f"Why {i}?", "category": one} for i, one in enumerate(IDS)]
    )
    return path.name


def test_ids_and_names_of_an_exam_become_no_paths(sciexam: Cli, tmp_path: Path, deep: Path, tally: Tally) -> None:
    suite = exam(deep)
    before = files_in(tmp_path)
    for command in (
        ("compare", *NAMES_OF_MODELS[:2], "-s", suite, "-j", "measures"),
        ("leaderboard", "-s", suite, "-j", "measures", "--site", "site"),
        ("export", "responses", "-s", suite, "-o", "out.jsonl"),
    ):
        done = sciexam(*command, cwd=deep)
        assert done.returncode == 0, done.stderr
    made = files_in(tmp_path) - before
    assert {path.removeprefix("one/two/three/").partition("/")[0] for path in made} == {"results", "site", "out.jsonl"}
    assert not Path("/etc/passwd.html").exists()
    tally(3 * (len(IDS) + len(NAMES_OF_MODELS)))


@pytest.mark.parametrize("name", ["../../up", "/tmp/up", "..", "a/b", "up\x00", ".hidden", "a\\b"])
def test_the_name_of_a_suite_is_no_path(name: str, sciexam: Cli, tmp_path: Path, deep: Path) -> None:
    suite = exam(deep, suite=name)
    before = files_in(tmp_path)
    done = sciexam("compare", "-s", suite, "-j", "measures", cwd=deep)
    assert done.returncode == 2
    assert "exam.yaml:1: suite: string should match pattern" in done.stderr
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("run", ["../../x", "/etc/passwd", "%2e%2e", "..", "results/exam/../../up", "*"])
def test_a_run_is_looked_up_and_never_opened_by_its_name(run: str, sciexam: Cli, tmp_path: Path, deep: Path) -> None:
    suite = exam(deep)
    assert sciexam("compare", "-s", suite, "-j", "measures", "--limit", "2", cwd=deep).returncode == 0
    before = files_in(tmp_path)
    done = sciexam("report", run, cwd=deep)
    assert done.returncode == 2
    assert "root:" not in done.stdout + done.stderr
    assert files_in(tmp_path) == before


def packed(log: Path, *entries: str, links: Sequence[str] = ()) -> None:
    """A log of Inspect with a sample at each of its `entries`, whose id, model and task are paths, and `links`."""
    output = {"model": "m", "choices": [{"message": {"role": "assistant", "content": "An answer."}}]}
    sample = {"id": "../../x", "epoch": 1, "input": "Why?", "target": "x", "output": output, "scores": {}}
    about = {"model": "../../m", "task": "/etc/task", "created": "2025-01-01"}
    with zipfile.ZipFile(log, "w") as archive:
        archive.writestr("header.json", json.dumps({"version": 2, "status": "success", "eval": about}))
        for epoch, entry in enumerate(entries, 1):
            archive.writestr(entry, json.dumps(sample | {"epoch": epoch}))
        for name in links:
            link = zipfile.ZipInfo(name)
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, "/etc/passwd")


@pytest.mark.parametrize("entry", ["samples/../../../../up.json", "/samples/up.json", "samples/..\\..\\up.json"])
def test_what_an_archive_holds_is_read_and_never_unpacked(entry: str, sciexam: Cli, tmp_path: Path, deep: Path) -> None:
    packed(deep / "log.eval", "samples/plain_epoch_1.json", entry, links=["samples/link_epoch_1.json"])
    before = files_in(tmp_path)
    done = sciexam("import", "inspect", "log.eval", "--out", "out", cwd=deep)
    assert "root:" not in done.stdout + done.stderr
    assert done.returncode == 2, "a link is no sample"
    assert "link_epoch_1.json:1: not JSON" in done.stderr
    assert files_in(tmp_path) == before


def test_what_an_archive_names_stays_in_its_folder(sciexam: Cli, tmp_path: Path, deep: Path) -> None:
    packed(deep / "log.eval", "samples/../../../up.json")
    before = files_in(tmp_path)
    done = sciexam("import", "inspect", "log.eval", "--out", "out", cwd=deep)
    made = files_in(tmp_path) - before
    assert done.returncode in (0, 2), done.stderr
    assert all(path.startswith("one/two/three/out/") for path in made), made
