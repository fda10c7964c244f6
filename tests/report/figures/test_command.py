"""`--figures` and `--format` on the real command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import worlds

from conftest import Cli, answers, write_suite
from sciexam.cli.figures import check_figures
from sciexam.cli.options import FigureFormat
from sciexam.errors import UsageError
from sciexam.exam.reporting import write


def suite(folder: Path) -> str:
    texts = {name: [f"It is {name} {'because of heat ' * (i % 4)}in case {i}." for i in range(24)] for name in "ab"}
    models = {name: {"responses": answers(folder, name, said)} for name, said in texts.items()}
    return str(write_suite(folder, 24, models))


def test_figures_are_written_and_their_paths_told_beside_the_result(tmp_path: Path, sciexam: Cli) -> None:
    done = sciexam(
        *("compare", "a", "b", "--suite", suite(tmp_path), "--json", "--figures", "out/paper", "--format", "pdf")
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("{")
    told = [line.removeprefix("sciexam: figure ") for line in done.stderr.splitlines()]
    assert told[0] == "out/paper/win-rates.pdf", "the one that answers the question comes first"
    assert sorted(map(str, (tmp_path / "out").rglob("*.*"))) == sorted(str(tmp_path / path) for path in told)
    assert all((tmp_path / path).read_bytes().startswith(b"%PDF-") for path in told)
    again = sciexam("report", "--figures", "again", "--quiet")
    assert "sciexam: figure again/win-rates.svg\n" in again.stderr


@pytest.mark.parametrize(
    ("folder", "format", "message"),
    [
        ("taken", None, "--figures {0}/taken: {0}/taken is a file; name a folder, such as --figures figures"),
        ("taken/in/it", FigureFormat.pdf, "--figures {0}/taken/in/it: {0}/taken is a file; name a folder"),
        (None, FigureFormat.png, "--format png says how figures are written, and --figures DIR where; add it"),
    ],
)
def test_what_cannot_be_written_is_refused(
    tmp_path: Path, folder: str | None, format: FigureFormat | None, message: str
) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UsageError) as refused:
        check_figures(tmp_path / folder if folder else None, format)
    assert message.format(tmp_path) in str(refused.value)


def test_it_is_refused_before_anything_is_asked(tmp_path: Path, sciexam: Cli) -> None:
    done = sciexam("compare", "a", "b", "--suite", suite(tmp_path), "--format", "gif", "--figures", "x")
    assert done.returncode == 2
    assert "'gif' is not one of 'svg', 'pdf', 'png'" in done.stderr
    done = sciexam("compare", "a", "b", "--suite", suite(tmp_path), "--figures", "exam.yaml")
    assert done.returncode == 2
    assert "sciexam: --figures exam.yaml: exam.yaml is a file; name a folder" in done.stderr
    assert not (tmp_path / "results").exists()


def test_a_fault_in_drawing_costs_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError("cannot draw")

    monkeypatch.setattr("sciexam.report.figures.drawing.to_svg", broken)
    found = worlds.report(prompts=12)
    with pytest.raises(RuntimeError, match="cannot draw"):
        write(found, {"run": found.run}, tmp_path)
    folder = tmp_path / found.suite / found.run
    assert sorted(path.name for path in folder.iterdir()) == ["report.json", "report.md", "run.json"]
    assert json.loads((folder / "report.json").read_text("utf-8")) == found.to_json(items=True)


def test_where_there_is_no_estimate_there_is_nothing_to_draw(tmp_path: Path, sciexam: Cli) -> None:
    path = suite(tmp_path)
    assert sciexam("compare", "a", "b", "--suite", path, "--quiet").returncode == 0
    done = sciexam("agree", "a", "b", "--suite", path, "--figures", "out")
    assert done.returncode == 0, done.stderr
    assert "sciexam: there is nothing to draw: no estimate has an interval" in done.stderr
    assert not (tmp_path / "out").exists()
