"""`vllm serve`, started from an environment of its own when it is first needed, and ended with this process."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from weakref import finalize

from sciexam.errors import UsageError
from sciexam.models import watchdog
from sciexam.models.vllm_launch import Launch

READY = 3600.0  # seconds that weights may take to be loaded
LOOK = 0.2  # seconds between two looks at whether they are
LAST_LINES = 300  # of the log, in which the reason of an end is looked for
HAS_VLLM = "import importlib.util, sys; sys.exit(importlib.util.find_spec('vllm') is None)"

_ERROR = re.compile(r"\b[A-Z]\w*(Error|Exception)\b: ")
_log = logging.getLogger(__name__)


class Server:
    """One server on this machine, shared by all models that differ in their adapter alone. Safe from any thread.

    It listens on the loopback interface, wants a secret that only its environment holds, tells nobody of its use, and
    writes its log into a temporary folder, which stays where it failed.
    """

    def __init__(self, launch: Launch):
        self.launch = launch
        self.adapters: dict[str, Path] = {}
        self.url, self.key = "", secrets.token_urlsafe(32)
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path()
        self._ready = self._checked = False
        self._lock = threading.Lock()

    def admits(self, adapter: str | None) -> bool:
        """Whether it can be asked for this adapter: it was started with it, or is still to be started."""
        return adapter is None or adapter in self.adapters or self._process is None

    def check_ready(self) -> None:
        """Raise UsageError where the interpreter is not there, or has no vLLM."""
        python = str(self.launch.python)
        if self._checked:
            return
        found = shutil.which(python)
        if found is None:
            raise UsageError(f"python: no interpreter at {python}; name one whose environment has vLLM")
        if subprocess.run([found, "-c", HAS_VLLM], env=_environment(""), check=False).returncode:  # noqa: S603
            raise UsageError(
                f"python: {python} has no vLLM; in an environment of its own: {python} -m pip install vllm"
            )
        self._checked = True

    def start(self, stopped: Callable[[], bool] = lambda: False) -> bool:
        """Wait until it can be asked, or until `stopped`; whether it can be. Raises UsageError where it ends."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._launch()
            latest = time.monotonic() + READY
            while not self._ready and not stopped():
                if self._process is not None and self._process.poll() is not None:
                    raise UsageError(f"vLLM ended before it was ready: {self.last_words()}")
                if time.monotonic() > latest:
                    raise UsageError(f"vLLM was not ready after {READY:g} s: {self.last_words()}")
                self._ready = self._is_healthy()
                if not self._ready:
                    time.sleep(LOOK)
            return self._ready

    def last_words(self) -> str:
        """What its log says of why it ended, on one line, and where the whole of it is.

        vLLM ends with an error that says that there was another one: the first one is told, and the last line.
        """
        path = self._folder / "server.log"
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[-LAST_LINES:]
        except OSError:
            return f"log: {path}"
        words = [" ".join("".join(c if c.isprintable() else " " for c in line).split())[-300:] for line in lines]
        words = [line for line in words if line]
        told = dict.fromkeys([*[line for line in words if _ERROR.search(line)][:1], *words[-1:]])
        return f"{' ... '.join(told)} (log: {path})"

    @property
    def ended(self) -> bool:
        """Whether it was started, and is no more."""
        return self._process is not None and self._process.poll() is not None

    def _launch(self) -> None:
        self.check_ready()
        port = _free_port()
        self.url, self._ready = f"http://127.0.0.1:{port}/v1", False
        self._folder = Path(tempfile.mkdtemp(prefix="sciexam-vllm-"))
        asked = [sys.executable, "-I", "-S", watchdog.__file__, *command(self.launch, port, self.adapters)]
        with (self._folder / "server.log").open("wb") as log:
            # In a session of its own: Ctrl-C is for sciexam, which ends it when the replies on their way are there.
            self._process = subprocess.Popen(  # noqa: S603  the user names the interpreter
                asked,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(self.key),
                start_new_session=True,
            )
        finalize(self, _end, self._process, self._folder)
        _log.info("vLLM loads %s; its log: %s", self.launch.served, self._folder / "server.log")

    def _is_healthy(self) -> bool:
        port = int(self.url.removesuffix("/v1").rpartition(":")[2])
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            line.request("GET", "/health")
            return line.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            line.close()


def command(launch: Launch, port: int, adapters: Mapping[str, Path]) -> list[str]:
    """What starts the server. The secret is not in it: everybody on a machine can read command lines."""
    flags: dict[str, object] = {"host": "127.0.0.1", "port": port, "served_model_name": launch.served}
    flags |= launch.arguments(adapters)
    said = [str(launch.python), "-m", "vllm.entrypoints.cli.main", "serve", launch.weights]
    for name, value in flags.items():
        flag = f"--{name.replace('_', '-')}"
        said += [flag] if value is True else [flag, str(value)]
    said += ["--trust-request-chat-template", "--chat-template-content-format", "string"]
    if adapters:
        modules = [{"name": name, "path": str(folder)} for name, folder in adapters.items()]
        said += ["--lora-modules", *map(json.dumps, modules)]
    return said


def _environment(key: str) -> dict[str, str]:
    """This process's own, without the keys of other services, with the server's secret, and with telemetry off."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().endswith("_API_KEY")}
    quiet = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return kept | quiet | {"VLLM_API_KEY": key, "PYTHONUNBUFFERED": "1"}


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def _end(process: subprocess.Popen[bytes], folder: Path) -> None:
    """End the server, and wait for it: what is done next may need its memory. Its log stays where it failed."""
    failed = process.poll() is not None
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(watchdog.GRACE + 5)
    if not failed:
        shutil.rmtree(folder, ignore_errors=True)
