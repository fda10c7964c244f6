"""Servers to ask: one whose models are rules, and the real command over small checkpoints."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest

from conftest import COMMAND, clean_environment

HERE = Path(__file__).parent / "serve"
QUIET = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


@dataclass
class Server:
    """A server process. `url` is its address; what it prints goes to `folder`/out.txt."""

    process: subprocess.Popen[str]
    url: str
    folder: Path
    token: str = "none"

    def client(self, **more: Any) -> openai.OpenAI:
        """The official client, which asks once."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=self.token, max_retries=0, timeout=60, **more)

    @property
    def output(self) -> str:
        return (self.folder / "out.txt").read_text(encoding="utf-8")

    def stop(self) -> int:
        """Ctrl-C; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


Start = Callable[..., Server]


def _started(command: list[str], folder: Path, found: str, env: dict[str, str]) -> tuple[subprocess.Popen[str], str]:
    with (folder / "out.txt").open("w", encoding="utf-8") as out:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=subprocess.STDOUT, text=True)
    for _ in range(1200):
        output = (folder / "out.txt").read_text(encoding="utf-8")
        if (port := re.search(found, output, re.MULTILINE)) is not None:
            return process, f"http://127.0.0.1:{port[1]}"
        if process.poll() is not None:
            break
        time.sleep(0.05)
    process.kill()
    raise AssertionError(output)


@pytest.fixture(scope="module")
def speaking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start a server whose models are rules (speaker.py): `speaking("--delay", "0.1")`."""
    started: list[Server] = []

    def start(*options: str) -> Server:
        folder = tmp_path_factory.mktemp("speaking")
        command = [sys.executable, str(HERE / "speaker.py"), str(folder), *options]
        process, url = _started(command, folder, r"^(\d+)$", clean_environment())
        token = options[options.index("--token") + 1] if "--token" in options else "none"
        started.append(Server(process, url, folder, token))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start the real command in a folder: `served(folder, "sft", "--suite", "exam.yaml")`."""
    started: list[Server] = []

    def start(folder: Path, *options: str, **env: str) -> Server:
        command = [str(COMMAND), "serve", *options, "--port", "0"]
        process, url = _started(command, folder, r"port (\d+)\. Ctrl-C", clean_environment() | QUIET | env)
        started.append(Server(process, url, folder))
        return started[-1]

    yield start
    for server in started:
        server.stop()
