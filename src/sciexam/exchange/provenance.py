"""`provenance.json`: which command wrote a folder. None replaces the folder of another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from sciexam.digests import file_digest
from sciexam.errors import UsageError
from sciexam.folders import LIST, resolved

PROVENANCE = "provenance.json"
HOLDS: Mapping[str, str] = {  # by the schema, without its version
    "sciexam/import": "a suite that `sciexam import` wrote",
    "sciexam/data": "training data that `sciexam data stackexchange` wrote",
    "sciexam/data-answers": "training data that `sciexam data answers` wrote",
    "sciexam/data-prompts": "prompts that `sciexam data prompts` wrote",
}


def check_same_command(out: Path, schema: str) -> None:
    """Raises UsageError where sciexam wrote `out` by another command than the one whose `provenance.json` has `schema`.

    What sciexam did not write is for `folders.check_folder` to judge.
    """
    folder = resolved(out)
    if not (folder / LIST).is_file():
        return
    written = _written_by(folder / PROVENANCE)
    if written != _command(schema):
        what = HOLDS.get(written, "what another command of sciexam wrote")
        raise UsageError(f"--out: {out} holds {what}, and would be replaced as a whole; name another folder")


def check_suite_unchanged(suite: Path) -> None:
    """Raises UsageError where somebody edited the suite since an import wrote it, with the provenance beside it."""
    written = _told(suite.parent / PROVENANCE, "suite_sha256")
    if written and suite.is_file() and file_digest(suite) != written:
        raise UsageError(
            f"--out: {suite} was edited since an import wrote it, and would be replaced; name another folder, or "
            "move that file away first"
        )


def _written_by(provenance: Path) -> str:
    return _command(_told(provenance, "schema"))


def _told(provenance: Path, key: str) -> str:
    try:
        return str(json.loads(provenance.read_bytes()).get(key, ""))
    except (OSError, ValueError, RecursionError, AttributeError):
        return ""


def _command(schema: str) -> str:
    return schema.rpartition("/")[0]


def most_first(counts: Mapping[str, int]) -> dict[str, int]:
    """What was left out or found, the commonest first; what never was is not listed."""
    return dict(sorted(((name, n) for name, n in counts.items() if n), key=lambda one: (-one[1], one[0])))
