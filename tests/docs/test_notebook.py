"""docs/notebook/python.ipynb runs, and shows what is stored in it."""

from __future__ import annotations

import importlib
import json
import re
from typing import Any

import pytest
from pages import ROOT

NOTEBOOK = ROOT / "docs" / "notebook" / "python.ipynb"


def stored() -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return notebook


def shown(notebook: dict[str, Any]) -> list[tuple[str, str]]:
    """What each cell shows as text, with six digits of a number: the last ones are the processor's."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    made = []
    for output in outputs:
        text = "".join(output.get("text") or output["data"]["text/plain"])
        short = re.sub(r"\d+\.\d{6,}", lambda number: f"{float(number[0]):.6g}", text)
        made.append((" ".join(output.get("data", ())), short))
    return made


@pytest.mark.slow
def test_it_shows_what_is_stored_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(NOTEBOOK.parent))
    monkeypatch.setenv("COLUMNS", "100")
    made = importlib.import_module("execute").executed(stored())
    assert shown(made) == shown(stored()), "write it anew with: make reference"


def test_it_is_a_small_notebook_with_a_table_and_a_figure() -> None:
    notebook = stored()
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    kinds = {kind for kind, _ in shown(notebook)}
    assert {"text/plain text/html", "text/plain image/svg+xml"} <= kinds
    assert NOTEBOOK.stat().st_size < 100_000
    assert str(ROOT) not in NOTEBOOK.read_text(encoding="utf-8")
