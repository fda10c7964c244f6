"""The training report: how a model and what it is made from were trained, and how their exams went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sciexam.exam.runs import write_run
from sciexam.lineage.artifacts import place_of
from sciexam.manifest import environment
from sciexam.report.training.training import Training, read_training
from sciexam.suite import Suite


def write_report(suite: Suite, name: str, results: Path) -> tuple[Training, Path]:
    """What there is to say of the training of `name`, and the folder in which it was written down.

    Each file is replaced whole: report.json, report.md and report.html.
    """
    found = read_training(suite.name, suite.models, results, suite.lineage_digest, name)
    manifest = environment() | {"plan": {"suite": {"seed": suite.seed}, "prompts": [one.id for one in suite.prompts]}}
    folder = report_folder(suite, name, results)
    write_run(folder, manifest, _files(found, manifest))
    return found, folder


def report_folder(suite: Suite, name: str, results: Path) -> Path:
    """Where the training report of a model lies."""
    return results / suite.name / "training" / place_of(results, name, "").name.rstrip("-")


def _files(found: Training, manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    from sciexam.report.pages import FEWEST
    from sciexam.report.result_files import result_files
    from sciexam.report.training.training_text import caveats_of, sentence_of, tables_of

    told: dict[str, Any] = {"sentence": sentence_of(found), "caveats": list(caveats_of(found))}
    told["prompts"] = FEWEST  # curves are over steps
    return result_files("report", "Training", f"Training of {found.name}", found, tables_of(found), manifest, **told)
