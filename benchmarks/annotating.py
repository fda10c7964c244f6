"""Annotators at work on a real server: judgements a second, waits, and what a page weighs.

Prints the table of benchmarks/annotating.md:

    python benchmarks/annotating.py > benchmarks/annotating.md

The server and all annotators share the machine's cores, and an annotator here takes no time to read: fifty of them ask
for as much as a thousand people who read for half a minute.
"""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlencode

import httpx2

COMMAND = Path(sys.executable).parent / "sciexam"
PROMPTS = 20
CROWDS = (1, 4, 50)


class Annotator(threading.Thread):
    """Judges all that comes; notes how long each answer of the server took, and how large the pages were."""

    def __init__(self, link: str):
        super().__init__(daemon=True)
        self.link = link
        self.looking: list[float] = []
        self.judging: list[float] = []
        self.bytes: list[int] = []

    def run(self) -> None:
        with httpx2.Client(base_url="/".join(self.link.split("/")[:3]), timeout=60) as client:
            url = str(client.get(self.link).headers.get("location", ""))
            while "/item/" in url:
                started = time.perf_counter()
                page = client.get(url)
                self.looking.append(time.perf_counter() - started)
                self.bytes.append(len(page.content))
                body = urlencode({"choice": "left-much", "turn": "0", "comment": "as it says"})
                started = time.perf_counter()
                done = client.post(url, content=body, headers={"x-sciexam": "1"})
                self.judging.append(time.perf_counter() - started)
                url = done.json()["next"]


def measure(crowd: int) -> str:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_suite(folder)
        command = [COMMAND, "annotate", "serve", "--suite", "exam.yaml", "--port", "0"]
        options = ["--annotators", str(crowd), "--overlap", str(crowd)]
        out = folder / "out.txt"
        with out.open("w") as file:
            server = subprocess.Popen([*command, *options], cwd=folder, stdout=file, stderr=file)
        while "Listening" not in out.read_text():
            time.sleep(0.05)
        links = [line.split()[-1] for line in out.read_text().splitlines() if "/a/" in line]
        people = [Annotator(link) for link in links]
        started = time.perf_counter()
        for one in people:
            one.start()
        for one in people:
            one.join()
        took = time.perf_counter() - started
        server.terminate()
        server.wait()
    looking = [seconds for one in people for seconds in one.looking]
    judging = [seconds for one in people for seconds in one.judging]
    sizes = [size for one in people for size in one.bytes]
    assert len(judging) == crowd * PROMPTS, "a judgement is missing"
    return (
        f"| {crowd} | {len(judging)} | {len(judging) / took:.0f} | {_ms(looking, 50)} | {_ms(looking, 95)} | "
        f"{_ms(judging, 50)} | {_ms(judging, 95)} | {statistics.median(sizes) / 1000:.0f} kB |"
    )


def _ms(times: list[float], percentile: int) -> str:
    return f"{1000 * statistics.quantiles(times, n=100)[percentile - 1]:.0f} ms"


def _write_suite(folder: Path) -> None:
    prompts = [{"id": f"q{i}", "text": f"Why does thing {i} happen?"} for i in range(PROMPTS)]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in prompts))
    text = (
        "It follows from **two** laws, of which $E = mc^2$ is one:\n\n- the first\n- the second\n\n"
        + "A sentence. " * 60
    )
    for name in ("base", "sft"):
        rows = [{"prompt": f"q{i}", "text": f"{text} {name} {i}"} for i in range(PROMPTS)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    models = {name: {"responses": f"{name}.jsonl"} for name in ("base", "sft")}
    suite = {"suite": "exam", "prompts": "prompts.jsonl", "models": models, "contestants": list(models)}
    (folder / "exam.yaml").write_text(json.dumps(suite))


HEAD = """# Annotators at work

Made by `python benchmarks/annotating.py`. The server and all annotators share the machine's cores. An annotator here
judges without reading, page after page. Times are from sending to the whole answer, and a judgement is on disk before
it is answered; they compare within this table only.
"""


def main() -> None:
    print(HEAD)
    print(f"Python {platform.python_version()}, {platform.system()}, {PROMPTS} pairs for each annotator.\n")
    print("| at once | judgements | a second | page, median | page, 95 % | judging, median | judging, 95 % | a page |")
    print("|---|---|---|---|---|---|---|---|")
    for crowd in CROWDS:
        print(measure(crowd), flush=True)


if __name__ == "__main__":
    main()
