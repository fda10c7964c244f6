"""`make dist`: a wheel and an sdist in dist/, built twice to the same bytes, and tried on every Python on the PATH.

Each Python from 3.11 on gets an empty environment with what requirements.lock names, and then, one after the other, the
wheel and the sdist: the demo has to run in an empty folder. A date in the files is that of the last commit.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
OLDEST = (3, 11)
WHO = "import sys; print(*sys.version_info[:3], sep='.')"


def run(*command: str | Path, cwd: Path = ROOT, **env: str) -> str:
    """What a command prints; where it fails, what it printed is told, and everything ends."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def environment(python: str | Path, folder: Path) -> Path:
    """A new, empty environment; returns its folder of programs."""
    run(python, "-m", "venv", folder)
    return folder / "bin"


def pip_install(programs: Path, *what: str | Path) -> None:
    run(programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what)


def built(builder: Path, source: Path, folder: Path, epoch: str) -> dict[str, bytes]:
    """The wheel and the sdist of a folder of sources: their names and bytes."""
    shutil.rmtree(folder, ignore_errors=True)
    run(builder / "python", "-m", "hatchling", "build", "-d", folder, cwd=source, SOURCE_DATE_EPOCH=epoch)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def unpacked(sdist: Path, folder: Path) -> Path:
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    return source


def pythons() -> Iterator[tuple[str, Path]]:
    """Every version from 3.11 on that a `python3.N` on the PATH is, once, and its program."""
    seen = set()
    for folder in map(Path, os.environ["PATH"].split(os.pathsep)):
        for program in sorted(folder.glob("python3.*[0-9]"), key=lambda path: (len(path.name), path.name)):
            done = subprocess.run([program, "-c", WHO], capture_output=True, text=True)
            version = done.stdout.strip()
            minor = tuple(map(int, version.split(".")[:2])) if done.returncode == 0 else (0, 0)
            if minor >= OLDEST and minor not in seen:
                seen.add(minor)
                yield version, program


def tried(program: Path, folder: Path) -> Iterator[str]:
    """What the demo prints on this Python, with the wheel and then with the sdist."""
    programs = environment(program, folder / "venv")
    pip_install(programs, "--require-hashes", "-r", ROOT / "requirements.lock")
    for kind in ("*.whl", "*.tar.gz"):
        (package,) = (ROOT / "dist").glob(kind)
        pip_install(programs, "--no-deps", "--no-build-isolation", "--force-reinstall", package)
        empty = folder / package.suffix
        empty.mkdir()
        yield f"{package.name}: {run(programs / 'sciexam', 'compare', 'base', 'sft', '--quiet', cwd=empty)}"


def main() -> None:
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or run("git", "log", "-1", "--format=%ct")
    with tempfile.TemporaryDirectory() as made:
        temporary = Path(made)
        builder = environment(sys.executable, temporary / "builder")
        pip_install(builder, "-c", ROOT / "constraints.txt", "hatchling")
        packages = built(builder, ROOT, ROOT / "dist", epoch)
        (sdist,) = (ROOT / "dist").glob("*.tar.gz")
        again = built(builder, ROOT, temporary / "again", epoch)
        inside = built(builder, unpacked(sdist, temporary / "sdist"), temporary / "inside", epoch)
        wheel = next(name for name in packages if name.endswith(".whl"))
        if packages != again or packages[wheel] != inside[wheel]:
            sys.exit("a second build, or a wheel of the unpacked sdist, has other bytes")
        for name, content in packages.items():
            print(f"{hashlib.sha256(content).hexdigest()}  dist/{name}")
        print("built a second time, and the wheel from the unpacked sdist: the same bytes")
        for version, program in pythons():
            for said in tried(program, temporary / version):
                print(f"Python {version}, {said}", flush=True)


if __name__ == "__main__":
    main()
