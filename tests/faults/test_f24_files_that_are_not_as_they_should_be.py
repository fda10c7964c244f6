"""A file of answers has ids or keys twice, ids of nobody, gaps, a BOM, CR LF, Latin-1, or 50 MB in a line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import Cli, answers, write_suite
from rows import Tally

PROMPTS = 4
GOOD = [json.dumps({"prompt": f"q{i}", "text": f"Because of {i}."}) for i in range(PROMPTS)]
BOM = b"\xef\xbb\xbf"


def line(prompt: str, text: str) -> str:
    return json.dumps({"prompt": prompt, "text": text}, ensure_ascii=False)


def joined(*lines: str) -> bytes:
    return "".join(f"{one}\n" for one in lines).encode()


@pytest.fixture
def suite(tmp_path: Path) -> str:
    """Two contestants; `old` answers in old.jsonl, which a test writes anew."""
    texts = {
        "old": [f"Because of {i}." for i in range(PROMPTS)],
        "new": [f"It follows from {i}." for i in range(PROMPTS)],
    }
    return str(
        write_suite(tmp_path, PROMPTS, {name: {"responses": answers(tmp_path, name, texts[name])} for name in texts})
    )


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (joined(*GOOD, line("q1", "again")), "old.jsonl:5: prompt: 'q1' sample 0 was answered in line 2"),
        (
            "\n".join([*GOOD[:2], line("q2", "café")]).encode("latin-1"),
            "old.jsonl:3: not UTF-8 (byte 0xe9); save the file as UTF-8",
        ),
        (joined(*GOOD)[:-3], "old.jsonl:4: the line ends in the middle of its JSON; was the file cut off?"),
        (joined(*GOOD, '["q4", "a list"]'), "old.jsonl:5: each line must be an object {...}, this is a list"),
        (joined(GOOD[0], '{"prompt": "q1"}'), "old.jsonl:2: text: this key is missing"),
        (
            joined(GOOD[0], '{"prompt": "q1", "text": "a", "text": "b"}'),
            "old.jsonl:2: text: this key stands twice in one object",
        ),
        (
            joined('{"prompt": "q0", "text": "a", "notes": {"by": 1, "by": 2}}'),
            "old.jsonl:1: by: this key stands twice in one object",
        ),
        (
            b'[{"instruction": "q0", "output": "a"},\n\n {"instruction": "q1", "output": "a", "output": "b"}]',
            "old.jsonl:3: output: this key stands twice in one object",
        ),
        (joined('{"prompt": "q0", "text": NaN}'), "old.jsonl:1: not JSON: NaN is not a JSON number"),
        (joined(line("q9", "x")), "old: no prompt of suite 'exam' has an answer in"),
        (b"", "old.jsonl: holds no responses"),
        (b"\n\r\n \n", "old.jsonl: holds no responses"),
        (b"PK\x03\x04", "old.jsonl: no text: the file is a zip archive"),
    ],
)
def test_a_file_of_answers_that_is_wrong_is_refused_with_its_line(
    suite: str, tmp_path: Path, sciexam: Cli, written: bytes, said: str
) -> None:
    (tmp_path / "old.jsonl").write_bytes(written)
    done = sciexam("compare", "--suite", suite, "--judge", "measures")
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert not (tmp_path / "results" / "exam").exists(), "and nothing was begun"


def test_all_faults_of_a_file_are_told_at_once(suite: str, tmp_path: Path, sciexam: Cli) -> None:
    (tmp_path / "old.jsonl").write_bytes(joined(GOOD[0], GOOD[0], '{"prompt": "q1"}', *GOOD[2:]))
    done = sciexam("compare", "--suite", suite, "--judge", "measures")
    assert done.returncode == 2
    assert "old.jsonl:2: prompt: 'q0' sample 0 was answered in line 1" in done.stderr
    assert "old.jsonl:3: text: this key is missing" in done.stderr


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            joined('{"id": "q0", "text": "a"}', '{"id": "q0", "text": "b"}'),
            "prompts.jsonl:2: id: 'q0' already stands in line 1",
        ),
        ('{"id": "q0", "text": "caf\xe9"}\n'.encode("latin-1"), "prompts.jsonl:1: not UTF-8 (byte 0xe9)"),
        (joined('{"id": "q0"}'), "prompts.jsonl:1: "),
        (
            joined('{"id": "q0", "text": "a"}', '{"id": "q1", "id": "q2", "text": "b"}'),
            "prompts.jsonl:2: id: this key stands twice in one object",
        ),
    ],
)
def test_a_file_of_prompts_that_is_wrong_is_refused_with_its_line(
    suite: str, tmp_path: Path, sciexam: Cli, written: bytes, said: str
) -> None:
    (tmp_path / "prompts.jsonl").write_bytes(written)
    done = sciexam("compare", "--suite", suite, "--judge", "measures")
    assert done.returncode == 2
    assert said in done.stderr


def test_a_key_that_stands_twice_in_verdicts_rewards_and_the_suite_is_refused(
    suite: str, tmp_path: Path, sciexam: Cli, tally: Tally
) -> None:
    """A reader would take the last one in silence; whoever wrote the file may have meant the first."""
    said = (
        '{"prompt": "q0", "first": "old", "second": "new", "preferred": "first", "preferred": "second", "rater": "r"}'
    )
    marked = '{"prompt": "q0", "model": "old", "reward": 1.0, "reward": 2.0}'
    for name, text, key in (("verdicts.jsonl", said, "preferred"), ("rewards.jsonl", marked, "reward")):
        (tmp_path / name).write_text(f"{text}\n")
        done = sciexam("compare", "--suite", suite, "--judge", name)
        assert done.returncode == 2, done.stdout
        assert f"{name}:1: {key}: this key stands twice in one object" in done.stderr
    (tmp_path / "exam.yaml").write_text("suite: exam\nprompts: prompts.jsonl\nmodels: {}\nprompts: other.jsonl\n")
    done = sciexam("check", suite)
    assert done.returncode == 2
    assert "exam.yaml:4: prompts: this key stands here twice" in done.stderr
    tally(3)


@pytest.mark.parametrize("file", ["old.jsonl", "prompts.jsonl"])
def test_a_mark_of_the_byte_order_windows_line_ends_and_blank_lines_change_nothing(
    suite: str, tmp_path: Path, sciexam: Cli, file: str
) -> None:
    rows = (tmp_path / file).read_text().splitlines()
    (tmp_path / file).write_bytes(BOM + "\r\n\r\n  \r\n".join(rows).encode() + b"\r\n\r\n")
    done = sciexam("compare", "--suite", suite, "--judge", "measures", "--json")
    assert done.returncode == 0, done.stderr
    (pair,) = json.loads(done.stdout)["pairs"]
    assert (pair["planned"], pair["used"]) == (PROMPTS, PROMPTS)


def test_a_line_of_fifty_megabytes_is_refused_with_its_number(
    suite: str, tmp_path: Path, sciexam: Cli, tally: Tally
) -> None:
    (tmp_path / "old.jsonl").write_bytes(joined(*GOOD[:3], line("q3", "x y. " * 10_000_000)))
    done = sciexam("compare", "--suite", suite, "--judge", "measures")
    assert done.returncode == 2
    assert "old.jsonl:4: a line of more than 16,000,000 bytes" in done.stderr
    assert len(done.stderr) < 500
    tally(1)


def test_what_matches_and_what_does_not_is_always_counted(suite: str, tmp_path: Path, sciexam: Cli) -> None:
    strangers = [line(f"x{i}", "to whom?") for i in range(5)]
    (tmp_path / "old.jsonl").write_bytes(joined(*GOOD[:3], *strangers))
    checked = sciexam("check", suite)
    assert checked.returncode == 2
    assert "old: 3 of 4 prompts have an answer" in checked.stdout
    assert "old.jsonl: 5 answers match no prompt: 'x0', 'x1', 'x2', 'x3', 'x4'" in checked.stderr
    done = sciexam("compare", "--suite", suite, "--judge", "measures", "--json")
    report = json.loads(done.stdout)
    (pair,) = report["pairs"]
    assert (pair["planned"], pair["used"], pair["skipped"]) == (PROMPTS, 3, 1)
    assert pair["reasons"] == {"skipped: old: no recorded answer": 1}
    assert "5 recorded answers of old match no prompt of the suite ('x0', 'x1', 'x2', ...)." in report["caveats"]
    assert "3 of 4 prompts used" in sciexam("compare", "--suite", suite, "--judge", "measures").stdout
