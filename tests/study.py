"""A study that is really served: the command line in a folder of its own, its links, and browsers that open them."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from conftest import COMMAND, clean_environment, write_jsonl, write_suite
from forked import Commands, Running
from sciexam.annotate.desk import kept_queue
from sciexam.annotate.queue import Queue
from sciexam.store import Store
from sciexam.store.annotations import Judgement
from sciexam.store.annotators import Annotator

ANSWERS = 6
EXECUTED = Commands(COMMAND, {}, interpreters=0)


@dataclass
class Study:
    """A served queue. `links` are by pseudonym; the owner's is "adjudication"."""

    folder: Path
    options: Sequence[str]
    port: int = 0
    process: Running | None = None
    links: dict[str, str] = field(default_factory=dict)
    output: str = ""
    commands: Commands = EXECUTED

    def start(self) -> Study:
        """Serve, and wait until somebody can be let in. A port of 0 becomes the one that was free."""
        with (self.folder / "out.txt").open("w", encoding="utf-8") as out:
            asked = ["annotate", "serve", *self.options, "--port", str(self.port)]
            self.process = self.commands.start(asked, self.folder, clean_environment(), out.fileno(), out.fileno())
        for _ in range(600):
            self.output = (self.folder / "out.txt").read_text(encoding="utf-8")
            if "Listening on" in self.output or self.process.poll() is not None:
                break
            time.sleep(0.05)
        assert "Listening on" in self.output, self.output
        self.port = int(self.output.rpartition(", port ")[2].split(".")[0])
        [file] = self.folder.glob("results/*/*/links.csv")
        rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
        self.links = {row["pseudonym"]: row["link"] for row in rows}
        for _ in range(200):
            with suppress(httpx2.TransportError):
                httpx2.get(f"{self.origin}/", timeout=5)
                return self
            time.sleep(0.05)
        raise AssertionError(f"nobody answers: {self.output}")

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """kill -9: no goodbye."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """Ctrl-C; returns the exit code."""
        if self.process is None or self.process.poll() is not None:
            return -1
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(20)
        finally:
            self.output = (self.folder / "out.txt").read_text(encoding="utf-8")
            if self.process.poll() is None:
                self.process.kill()

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Another command beside it, in the same folder."""
        return self.commands.run(args, self.folder, clean_environment(), timeout=100)

    def store(self) -> Store:
        return Store(self.folder / "results" / "ledger.sqlite")

    def kept(self) -> tuple[Queue, list[Judgement], dict[int, Annotator]]:
        """What the ledger holds: the newest queue, everything that was done in it, and who is who."""
        with self.store() as store:
            queue = kept_queue(store, list(store.annotations.queues().values())[-1])
            people = {one.id: one for one in store.annotators.all()}
            return queue, store.annotations.judgements(queue.id), people


def said_by(name: str, prompt: int, sample: int) -> str:
    """An answer by which a test knows whose it is, and an annotator does not."""
    return f"{'Because of' if name == 'base' else 'It follows from law'} {prompt}, I think."


def write_answers(
    folder: Path, names: Sequence[str], prompts: int, samples: int, texts: Callable[[str, int, int], str]
) -> None:
    """A file of recorded answers for each contestant."""
    for name in names:
        rows = [
            {"prompt": f"q{prompt}", "sample": sample, "text": texts(name, prompt, sample)}
            for prompt in range(prompts)
            for sample in range(samples)
        ]
        write_jsonl(folder / f"{name}.jsonl", rows)


@pytest.fixture
def study(tmp_path: Path, commands: Commands) -> Iterator[Callable[..., Study]]:
    """Serve the answers of `base` and `sft` to `prompts` questions: `study("--annotators", "2", prompts=4)`."""
    started: list[Study] = []

    def serve(
        *options: str,
        prompts: int = ANSWERS,
        samples: int = 1,
        texts: Callable[[str, int, int], str] = said_by,
        folder: Path | None = None,
        **suite: Any,
    ) -> Study:
        place = folder or tmp_path
        if not (place / "exam.yaml").exists():
            write_answers(place, ("base", "sft"), prompts, samples, texts)
            models = {name: {"responses": f"{name}.jsonl"} for name in ("base", "sft")}
            write_suite(place, prompts, models, **suite)
        files = options[:1] and options[0].endswith(".jsonl")
        listed = [] if "--suite" in options or files else ["--suite", "exam.yaml"]
        found = Study(place, [*options, *listed], commands=commands)
        started.append(found)
        return found.start()

    yield serve
    for one in started:
        one.stop()


def chromium() -> str | None:
    """The system's Chromium; SCIEXAM_CHROMIUM names another."""
    named = os.environ.get("SCIEXAM_CHROMIUM")
    return named or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))), None
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real Chromium; skips where there is none.

    While it is there an event loop runs in this thread, and `asyncio.run` is refused: so it ends with its module.
    """
    path = chromium()
    if path is None:
        pytest.skip("no Chromium here: apt install chromium, or name one in SCIEXAM_CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"],
        )
        yield made
        made.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a link in a context of its own, as another person on another machine would: `opened(url, width=390)`."""
    contexts = []

    def page(url: str, width: int = 1280, height: int = 800, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        context.set_default_timeout(10_000)
        made = context.new_page()
        made.goto(url)
        return made

    yield page
    for context in contexts:
        context.close()
