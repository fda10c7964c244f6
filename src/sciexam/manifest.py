"""Under what a run was made: versions, platform, commit and command line."""

from __future__ import annotations

import datetime
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sciexam.errors import redacted

SCHEMA = "sciexam/run/1"
PACKAGES = (
    "sciexam",
    "numpy",
    "scipy",
    "openai",
    "sqlalchemy",
    "psycopg",
    "pydantic",
    "jinja2",
    "torch",
    "transformers",
    "lm-eval",
    "vllm",
)


def environment() -> dict[str, Any]:
    """Where, when and with what this process runs. `commit` is that of the working directory, None outside of git."""
    return {
        "schema": SCHEMA,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "argv": [redacted(word) for word in sys.argv],
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "commit": _commit(),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
