"""What `sciexam data stackexchange` takes for a dump of a given size: seconds, CPU, memory, room on the disk.

    python benchmarks/stackexchange.py                    # a dump of 200 MB; prints Markdown
    python benchmarks/stackexchange.py --mb 1000          # does memory grow with the dump?
    python benchmarks/stackexchange.py --archive          # the same, read from a .7z
    python benchmarks/stackexchange.py --folder /tmp/se   # keeps the dump there

The dump is made: questions with paragraphs, code, lists, links and formulas, two answers to each on average, votes with
a long tail, an accepted answer to nearly half of the questions, one body in fifty said again in another question. The
command runs as a process of its own, and everything counts.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from html import escape
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path

SITE = "cooking.stackexchange.com"
SYLLABLES = ["ka", "lo", "min", "ter", "ra", "vo", "sel", "du", "pir", "na", "gen", "tu", "os", "el", "im", "dra"]


class Writer:
    """Posts of made words, the same for a seed."""

    def __init__(self, seed: int = 1):
        self._rng = random.Random(seed)
        made = sorted({"".join(self._rng.choices(SYLLABLES, k=self._rng.randint(1, 4))) for _ in range(12000)})
        self._words = made
        self._weights = list(accumulate(1 / (rank + 3) for rank in range(len(made))))  # Zipf's, as in a language
        self._rng.shuffle(self._words)

    def posts(self, size: int) -> Iterator[str]:
        """Rows of about `size` bytes in all."""
        written, id, before = 0, 0, ""
        while written < size:
            id += 1
            question, answers = id, self._rng.choice((0, 1, 1, 2, 2, 3, 5))
            body = before if before and self._rng.random() < 0.02 else self._body()
            before = body if self._rng.random() < 0.02 else before
            accepted = f'AcceptedAnswerId="{id + 1}" ' if answers and self._rng.random() < 0.5 else ""
            title = f'Title="{self._text(9).capitalize()}?" Tags="&lt;bread&gt;&lt;yeast&gt;" {accepted}'
            rows = [self._row(question, 1, body, title)]
            for _ in range(answers):
                id += 1
                rows.append(self._row(id, 2, self._body(), f'ParentId="{question}" '))
            yield from rows
            written += sum(map(len, rows))

    def _row(self, id: int, kind: int, body: str, more: str) -> str:
        day = f"20{self._rng.randint(10, 23)}-{self._rng.randint(1, 12):02}-{self._rng.randint(1, 28):02}"
        votes = int(self._rng.paretovariate(0.9)) - 2
        return (
            f'  <row Id="{id}" PostTypeId="{kind}" {more}CreationDate="{day}T10:00:00.000" Score="{votes}" '
            f'Body="{escape(body).replace(chr(10), "&#xA;")}" OwnerUserId="{self._rng.randint(1, 9000)}" '
            f'LastActivityDate="{day}T11:00:00.000" CommentCount="2" ContentLicense="CC BY-SA 4.0" />\n'
        )

    def _text(self, words: int) -> str:
        return " ".join(self._rng.choices(self._words, cum_weights=self._weights, k=words))

    def _body(self) -> str:
        parts = [f"<p>{self._text(self._rng.randint(15, 60))}.</p>"]
        for _ in range(self._rng.randint(0, 4)):
            parts.append(self._rng.choice((self._paragraph, self._paragraph, self._code, self._list, self._formula))())
        return "\n\n".join(parts) + "\n"

    def _paragraph(self) -> str:
        link = f'<a href="https://example.org/{self._text(1)}" rel="nofollow noreferrer">{self._text(2)}</a>'
        return f"<p>{self._text(20)} <em>{self._text(1)}</em> {link} {self._text(25)} <code>{self._text(1)}</code>.</p>"

    def _code(self) -> str:
        lines = "\n".join(f"    {self._text(1)} = {self._text(1)}[{n}] &lt; 3" for n in range(self._rng.randint(3, 15)))
        return f'<pre class="lang-py prettyprint-override"><code>def f(x):\n{lines}\n</code></pre>'

    def _list(self) -> str:
        return "<ul>\n" + "".join(f"<li>{self._text(8)}</li>\n" for _ in range(4)) + "</ul>"

    def _formula(self) -> str:
        return f"<p>{self._text(8)} $x_1 * y_2 = \\frac{{1}}{{2}}$ {self._text(20)}</p>"


def write_dump(folder: Path, size: int, seed: int = 1) -> tuple[Path, int]:
    """Posts.xml of about `size` bytes in a folder that is called like a site; its path, and how many posts it holds."""
    path = folder / SITE / "Posts.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with path.open("w", encoding="utf-8") as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<posts>\n')
        for row in Writer(seed).posts(size):
            count += 1
            file.write(row)
        file.write("</posts>\n")
    return path, count


def pack(path: Path) -> Path:
    import py7zr

    archive = path.parent.parent / f"{SITE}.7z"
    with py7zr.SevenZipFile(archive, "w") as file:
        file.write(path, "Posts.xml")
    return archive


def measured(dump: Path, out: Path, *more: str) -> dict[str, float]:
    """Run the command; seconds, CPU seconds, and the peaks of resident memory and of temporary files in MB."""
    command = [
        str(Path(sys.executable).parent / "sciexam"),
        "data",
        "stackexchange",
        str(dump),
        "--out",
        str(out),
        *more,
    ]
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        done, status, largest, peak = 0, 0, 0, 0.0
        while not done:
            time.sleep(0.2)
            largest, peak = max(largest, _temporary(child.pid)), max(peak, _resident(child.pid))
            done, status, used = os.wait4(child.pid, os.WNOHANG)
        if status:
            said.seek(0)
            raise SystemExit(said.read())
    # What is said at the end counts the parent as well, in Linux in kilobytes and in macOS in bytes.
    peak = peak or used.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
    spent = {"seconds": time.monotonic() - begun, "cpu": used.ru_utime + used.ru_stime}
    return {**spent, "mb": peak, "temporary": largest / 1e6}


def _resident(pid: int) -> float:
    """The peak of resident memory of a process so far in MB (Linux), or 0."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0
    return 0.0


def _temporary(pid: int) -> int:
    """The bytes of the files without a name that a process has open (Linux)."""
    total = 0
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(OSError):
            if os.readlink(link).endswith("(deleted)"):
                total += link.stat().st_size
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mb", type=int, default=200)
    parser.add_argument("--archive", action="store_true")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        path, posts = write_dump(folder, options.mb * 1_000_000)
        dump = pack(path) if options.archive else path
        found = measured(dump, folder / "out")
        made = sum(file.stat().st_size for file in (folder / "out").iterdir())
    packages = ", ".join(f"{name} {version(name)}" for name in ("markdownify", "datasketch", "py7zr"))
    print(f"Python {platform.python_version()}, {packages}, {os.cpu_count()} CPUs")
    print()
    million = found["cpu"] / posts * 1e6 / 60
    cells = [f"{options.mb} MB{' in a .7z' if options.archive else ''}", f"{posts:,}", f"{found['seconds']:.0f} s"]
    cells += [f"{found['cpu']:.0f} s", f"{million:.1f} min", f"{found['mb']:.0f} MB", f"{found['temporary']:.0f} MB"]
    print("| dump | posts | time | CPU | CPU for a million posts | peak memory | temporary files | written |")
    print("|---|---|---|---|---|---|---|---|")
    print(f"| {' | '.join([*cells, f'{made / 1e6:.0f} MB'])} |")


if __name__ == "__main__":
    main()
