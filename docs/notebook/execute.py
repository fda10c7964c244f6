"""Runs the cells of docs/notebook/python.ipynb from top to bottom in an empty folder, and stores what they show.

    make reference

A cell shows what it prints and the value of its last line: as text, and where it has a `_repr_html_` or `_repr_svg_`,
as that. It needs no Jupyter.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parent / "python.ipynb"


def executed(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook with the outputs of its code cells. Whatever a cell raises is raised."""
    names: dict[str, Any] = {"__name__": "__main__"}
    cells, count = [], 0
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                count += 1
                cell = cell | {"execution_count": count, "outputs": list(_run("".join(cell["source"]), names, count))}
            cells.append(cell)
    return notebook | {"cells": cells}


def _run(source: str, names: dict[str, Any], count: int) -> list[dict[str, Any]]:
    body = ast.parse(source).body
    last = ast.Expression(body.pop().value) if isinstance(body[-1], ast.Expr) else None
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(ast.Module(body, []), "<cell>", "exec"), names)
        value = eval(compile(last, "<cell>", "eval"), names) if last else None
    outputs: list[dict[str, Any]] = []
    if said.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout", "text": said.getvalue().splitlines(True)})
    if value is not None:
        outputs.append(
            {"output_type": "execute_result", "execution_count": count, "metadata": {}, "data": _shown(value)}
        )
    return outputs


def _shown(value: Any) -> dict[str, list[str]]:
    pictures = {"text/html": "_repr_html_", "image/svg+xml": "_repr_svg_"}
    shown = {kind: getattr(value, method)() for kind, method in pictures.items() if hasattr(value, method)}
    text = f"<{type(value).__name__} {value.name}>" if "image/svg+xml" in shown else repr(value)
    return {kind: said.splitlines(True) for kind, said in {"text/plain": text, **shown}.items()}


def main() -> None:
    os.environ["COLUMNS"] = "100"
    made = executed(json.loads(NOTEBOOK.read_text(encoding="utf-8")))
    NOTEBOOK.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
