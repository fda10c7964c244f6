"""What a stranger's class is, a model or a judge, by the files that it stands in: it is not run to be known."""

from __future__ import annotations

from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

from sciexam.digests import digest, file_digest


def source_of(backend: str) -> str:
    """The digest of the file of `package.module:Class`; in a package with the files beside it, which it may stand on.

    What cannot be read counts by its name: that it is wrong is told where it is opened.
    """
    module = backend.partition(":")[0]
    found = _found(module)
    if not (found and found.origin and Path(found.origin).is_file()):
        return module
    own = Path(found.origin)
    return digest(sorted(map(file_digest, own.parent.glob("*.py")))) if found.parent else file_digest(own)


def _found(module: str) -> ModuleSpec | None:
    """Where a module lies. Asked for the whole name, `find_spec` would run the packages that it lies in."""
    top, *inner = module.split(".")
    try:
        found = find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return None
    for part in inner:
        inside = found.submodule_search_locations if found else None
        top = f"{top}.{part}"
        found = PathFinder.find_spec(top, inside) if inside else None
    return found
