"""Under what a run was made, from its manifest: headings, each with its lines."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from sciexam.errors import redacted

Lines = tuple[str, ...]
UNKNOWN = "unknown; the endpoint may serve other weights under this name"


def making_of(manifest: Mapping[str, Any]) -> list[tuple[str, Lines]]:
    """Command, versions, seed, digests and settings of a run; what a manifest does not have is left out."""
    return [(heading, tuple(map(redacted, lines))) for heading, lines in _all(manifest) if any(lines)]


def _all(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Lines]]:
    plan: Mapping[str, Any] = manifest.get("plan", {})
    suite: Mapping[str, Any] = plan.get("suite", {})
    digests: Mapping[str, Any] = plan.get("digests", {})
    yield "Command", (shlex.join(manifest.get("argv", ())),)
    yield "Started", (manifest.get("started", ""),)
    yield "Versions", tuple(f"{name} {version}" for name, version in manifest.get("packages", {}).items())
    yield "Python", (" on ".join(filter(None, (manifest.get("python"), manifest.get("platform")))),)
    yield "Commit of the working directory", (manifest.get("commit") or "",)
    yield "Seed", (str(suite.get("seed", "")),)
    yield "Counted", tuple(f"{key}: {plan[key]}" for key in ("policy", "orders", "margin", "by") if key in plan)
    yield "Generation", _settings(suite.get("generation", {}))
    models = suite.get("models", {})
    yield "Contestants", tuple(f"{name}: {d}{_at(models.get(name, {}))}" for name, d in plan.get("models", {}).items())
    yield "Lineage", tuple(f"{name}: {digest}" for name, digest in digests.get("lineage", {}).items())
    yield "Suite and rubric", tuple(f"{key}: {digests[key]}" for key in ("suite", "rubric") if key in digests)
    for rater in plan.get("raters", ()):
        heading = rater["name"] if rater["name"] == rater["bench"] else f"{rater['bench']}: {rater['name']}"
        spec = _with_revision(suite.get("judges", {}).get(rater["name"], {}))
        own = {key: rater[key] for key in ("digest", "kind", "model", "orders", "repeats") if key in rater}
        yield f"Judge {heading}", _settings({**spec, **own})


def _with_revision(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a suite says of a model behind an endpoint, also where it does not say its revision.

    Weights that lie in files and recorded answers are named by their contents.
    """
    return {**spec, "revision": spec.get("revision") or UNKNOWN} if "base_url" in spec else spec


def _at(spec: Mapping[str, Any]) -> str:
    return f", revision {_with_revision(spec)['revision']}" if "base_url" in spec else ""


def _settings(values: Mapping[str, Any]) -> Lines:
    return tuple(f"{key}: {_said(value)}" for key, value in values.items() if value not in (None, "", [], {}, ()))


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
