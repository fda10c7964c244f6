"""The name of a model as a report shows it: a model that lies on a disk is called by its last folder alone."""

from __future__ import annotations

import re

_PATH = re.compile(r"file:|[/\\~]|\.{1,2}[/\\]|[A-Za-z]:[/\\]")


def public_name(model: str) -> str:
    """`model` itself, also with its organisation ("meta-llama/Llama-3.1-70B-Instruct"); of a path its last part.

    Where weights lie on somebody's disk is nobody's business. A path is what is absolute, or begins with `./`, `../`,
    `~` or `file:`.
    """
    if not _PATH.match(model):
        return model
    return re.split(r"[/\\]", model.rstrip("/\\"))[-1]
