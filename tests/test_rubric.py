"""A rubric's faults are told with their lines, and its text is what a judge reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from sciexam.errors import DocumentError
from sciexam.rubric import Rubric, load_rubric

WHOLE = """\
rubric: taste
about: How it tastes.
ties: false
criteria:
  - name: salt
    weight: 3
    question: Is there salt?
    levels:
      - {label: no, anchor: none at all}
      - {label: yes, anchor: just enough}
    measure: structure
  - {name: heat, question: Is it warm?}
examples:
  - {question: q, first: a, second: b, verdict: A>>B}
"""


def read(folder: Path, text: str) -> Rubric:
    (folder / "taste.yaml").write_text(text)
    return load_rubric("taste.yaml", folder)


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        read(folder, text)
    return [fault.removeprefix(f"{folder}/taste.yaml:") for fault in caught.value.faults]


def test_a_judge_reads_each_criterion_with_its_share_its_question_and_its_levels(tmp_path: Path) -> None:
    assert read(tmp_path, WHOLE).render() == (
        "How it tastes.\n\n"
        "salt (75% of the whole): Is there salt?\n  - no: none at all\n  - yes: just enough\n\n"
        "heat (25% of the whole): Is it warm?"
    )


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("measure:", "mesure:", "11: criteria.0.mesure: unknown key; did you mean 'measure'?"),
        ("weight: 3", "weight: 0", "6: criteria.0.weight: input should be greater than 0, not 0"),
        ("name: heat", "name: salt", "1: criteria named twice: salt"),
        ("label: yes", "label: no", "5: criteria.0: criterion 'salt' has two levels of the same label"),
        (
            "      - {label: yes, anchor: just enough}\n",
            "",
            "5: criteria.0: criterion 'salt' has one level; give two or more, worst first, or none",
        ),
        ("anchor: just enough", "anker: x", "10: criteria.0.levels.1.anchor: this key is missing"),
        ("A>>B", "A>>>B", "14: examples.0.verdict: input should be 'A>>B', 'A>B', 'A=B', 'B>A' or 'B>>A', not 'A>>>B'"),
        ("name: salt", "name: -salt", "5: criteria.0.name: string should match pattern"),
    ],
)
def test_a_fault_of_a_rubric_is_told_with_its_line(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert old in WHOLE
    assert faults(tmp_path, WHOLE.replace(old, new, 1))[0].startswith(fault)


def test_a_rubric_without_criteria_is_refused(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, "rubric: taste\ncriteria: []\n")
    assert fault.startswith("2: criteria: ")
    assert "at least 1 item" in fault


def test_the_digest_changes_with_every_word_that_a_judge_reads_and_not_with_the_layout(tmp_path: Path) -> None:
    whole = read(tmp_path, WHOLE).digest
    assert read(tmp_path, f"# a comment\n{WHOLE}").digest == whole
    for old, new in [
        ("just enough", "enough"),
        ("weight: 3", "weight: 2"),
        ("ties: false", "ties: true"),
        ("A>>B", "A>B"),
    ]:
        assert read(tmp_path, WHOLE.replace(old, new)).digest != whole, old


def test_a_rubric_file_is_looked_for_beside_the_suite_before_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, here = tmp_path / "beside", tmp_path / "here"
    for folder, name in ((beside, "beside"), (here, "here")):
        folder.mkdir()
        (folder / "r.yaml").write_text(f"rubric: {name}\ncriteria: [{{name: a, question: b}}]\n")
    monkeypatch.chdir(here)
    assert load_rubric("r.yaml", beside).rubric == "beside"
    assert load_rubric("r.yaml").rubric == "here"
