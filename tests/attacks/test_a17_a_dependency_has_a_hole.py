"""A dependency has a known hole, floats to a version that nobody tested, or is another package of a like name."""

from __future__ import annotations

import ast
import json
import re
import sys
import threading
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version

import pytest
from packaging.requirements import Requirement

from conftest import ROOT
from rows import Tally

SERVICE = "https://api.osv.dev/v1/querybatch"  # Open Source Vulnerabilities, which pip-audit asks too
NOT_PINNED = {"vllm"}  # has an environment of its own, with another torch
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def name_of(requirement: str) -> str:
    """The package of a requirement, as an index spells it."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert all(len(pair) == 2 and re.fullmatch(r"[\w.!]+", pair[1]) for pair in pairs), "an exact version in each line"
    names = [name_of(name) for name, _ in pairs]
    assert len(names) == len(set(names))
    return dict(zip(names, (number for _, number in pairs), strict=True))


def declared(but: tuple[str, ...] = ()) -> set[str]:
    """What pyproject.toml asks for, in the core and in the extras, `but` these."""
    extras = PROJECT["project"]["optional-dependencies"]
    asked = [*PROJECT["project"]["dependencies"]]
    asked += [one for name, extra in extras.items() if name not in but for one in extra]
    return {name_of(one) for one in asked} - {"sciexam"}


def test_every_dependency_is_pinned_to_the_version_that_is_tested(tally: Tally) -> None:
    pinned = pins()
    assert declared() - set(pinned) - NOT_PINNED - {"mkdocs"} == set()
    installed = {}
    for name in pinned:
        try:
            installed[name] = version(name).partition("+")[0]
        except PackageNotFoundError:
            continue
    others = {name: (number, pinned[name]) for name, number in installed.items() if number != pinned[name]}
    assert not others, "make sets up an environment with these versions: (installed, pinned)"
    tally(len(installed))


def locked() -> dict[str, tuple[str, int]]:
    """The version of each package in requirements.lock, and how many hashes of its files stand there."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in filter(None, text.splitlines()):
        if not line.startswith("#"):
            number, *files = line.partition("==")[2].split()
            hashes = [file for file in files if re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", file)]
            assert len([file for file in files if file.startswith("--")]) == len(hashes), line
            found[name_of(line)] = number, len(hashes)
    return found


def test_the_lock_has_all_that_the_core_needs_by_the_pinned_version_and_by_hash(tally: Tally) -> None:
    """What is not in it would be refused by `pip install --require-hashes`, and what is must be what is tested."""
    found, pinned = locked(), pins()
    assert all(number for _, number in found.values())
    assert {name: version for name, (version, _) in found.items()} == {name: pinned.get(name) for name in found}
    asked = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    needed = {name_of(one) for one in asked}
    while more := {name_of(one) for name in needed for one in _required_here(name)} - needed:
        needed |= more
    assert needed - found.keys() == set(), "make lock"
    tally(len(found))


def _required_here(name: str) -> list[str]:
    """What a package requires on this machine, without extras."""
    return [one for one in _requires(name) if (mark := Requirement(one).marker) is None or mark.evaluate()]


def test_a_release_is_set_up_with_the_pins() -> None:
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8")
    setups = [line for line in recipe.splitlines() if "pip install" in line]
    assert setups
    assert all("-c constraints.txt" in line for line in setups)


def imported() -> Iterator[tuple[str, str]]:
    """The packages that the sources import, and where."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for top in {name.partition(".")[0] for name in names}:
                if top not in sys.stdlib_module_names and top != "sciexam":
                    yield top, path.name


def test_nothing_is_imported_but_what_is_declared_or_what_that_requires(tally: Tally) -> None:
    asked = declared(but=("test", "docs", "peers"))
    required = {name_of(one) for name in asked for one in _requires(name)}
    known = packages_distributions()
    found = {module: where for module, where in imported() if module in known}
    for module, where in found.items():
        names = {name_of(one) for one in known[module]}
        assert names & (asked | required), f"{where} imports {module}, which pyproject.toml does not ask for"
    tally(len(found))


def _requires(name: str) -> list[str]:
    try:
        return [one for one in requires(name) or () if "extra ==" not in one]
    except PackageNotFoundError:
        return []


# ---------------------------------------------------------------- known holes


def holes(service: str, pinned: dict[str, str]) -> dict[str, list[str]]:
    """The known holes of each pinned package. Raises OSError where the service cannot be reached."""
    queries = [{"package": {"name": name, "ecosystem": "PyPI"}, "version": number} for name, number in pinned.items()]
    asked = urllib.request.Request(
        service, json.dumps({"queries": queries}).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=20) as answer:
        results = json.load(answer)["results"]
    found = zip(pinned, results, strict=True)
    return {name: [hole["id"] for hole in result["vulns"]] for name, result in found if result.get("vulns")}


@pytest.mark.slow
def test_no_pinned_version_has_a_known_hole(tally: Tally) -> None:
    pinned = pins()
    try:
        found = holes(SERVICE, pinned)
    except (OSError, urllib.error.URLError) as error:
        pytest.skip(f"no vulnerability service can be reached ({SERVICE}: {error})")
    assert found == {}
    tally(len(pinned))


def test_a_hole_that_a_service_tells_of_is_found() -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            queries = json.loads(self.rfile.read(int(self.headers["content-length"])))["queries"]
            bad = {"package": {"name": "jinja2", "ecosystem": "PyPI"}, "version": "2.0"}
            results = [{"vulns": [{"id": "PYSEC-1"}]} if query == bad else {} for query in queries]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"results": results}).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        found = holes(f"http://127.0.0.1:{server.server_port}", {"numpy": "2.0", "jinja2": "2.0"})
    assert found == {"jinja2": ["PYSEC-1"]}
