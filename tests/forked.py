"""The command line as a process of its own, forked from an interpreter that has imported what most commands use.

An executed command imports its libraries for a second, and the tests run it a thousand times. A fork does what
the executed command does: it has its own process, folder, environment, arguments and files for what it prints, it runs
`sciexam.cli.main`, and it ends with its code. Two interpreters take turns, since forks of the same one share
the seed of its hashes: a command that is run twice shows whether it depends on the order of a set.
"""

from __future__ import annotations

import atexit
import importlib
import itertools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

# What starts a thread (pandas) is left out: a fork has none of the other threads, and might wait for one.
IMPORTED = (
    "sciexam.exam.reporting",
    "sciexam.annotate.app",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "openai",
    "scipy.sparse",
    "scipy.special",
    "uvicorn",
)
MOST = 2**17  # bytes of one request
# What an interpreter reads when it starts, or these libraries when they are imported. A fork cannot follow it.
READ_ONCE = ("PYTHON", "LC_", "LANG", "OPENBLAS_", "MPL")


class Fork:
    """A running command, with those methods of `subprocess.Popen` that the tests use."""

    def __init__(self, command: Sequence[str], status: int) -> None:
        self.args = list(command)
        self.returncode: int | None = None
        self._status = status
        self.pid = int(self._said(None) or "the interpreter that forks has ended")

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and (said := self._said(timeout)) is not None:
            self.returncode = int(said)
            os.close(self._status)
        return self.returncode

    def _said(self, timeout: float | None) -> str | None:
        """The next line of the process that waits for the command, written in one piece; None if it takes longer."""
        ready = select.poll()  # select.select knows no descriptor above 1,023
        ready.register(self._status, select.POLLIN)
        said = ready.poll(None if timeout is None else 1000 * timeout)
        return os.read(self._status, 32).decode() if said else None


Running = Fork | subprocess.Popen[str]


class Commands:
    """Starts commands, from so many interpreters that wait to be forked. With none, each command is executed."""

    def __init__(self, command: Path, env: Mapping[str, str], interpreters: int) -> None:
        self._command, self._read_once = command, _read_once(env)
        self._started = [_interpreter(command, env) for _ in range(interpreters)]
        self._turns: Iterator[socket.socket] = itertools.cycle(end for end, _ in self._started)

    def start(self, args: Sequence[str], cwd: Path, env: Mapping[str, str], stdout: int, stderr: int) -> Running:
        """As `subprocess.Popen([command, *args], ...)`; stdout and stderr are open files."""
        command = [str(self._command), *args]
        if not self._started or _read_once(env) != self._read_once:
            return subprocess.Popen(command, cwd=cwd, env=env, stdout=stdout, stderr=stderr, text=True)
        request = json.dumps({"argv": command, "cwd": str(cwd), "env": dict(env)}).encode()
        assert len(request) <= MOST, "more than an interpreter reads of a request"
        reading, writing = os.pipe()
        try:
            socket.send_fds(next(self._turns), [request], [stdout, stderr, writing])
        finally:
            os.close(writing)
        return Fork(command, reading)

    def run(
        self, args: Sequence[str], cwd: Path, env: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """As `subprocess.run([command, *args], capture_output=True, text=True, ...)`."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            running = self.start(args, cwd, env, out.fileno(), err.fileno())
            try:
                code = running.wait(timeout)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()
                raise
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess([str(self._command), *args], code, out.read(), err.read())

    def close(self) -> None:
        for end, process in self._started:
            end.close()  # which ends it
            process.wait(30)


def _read_once(env: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in env.items() if key.startswith(READ_ONCE)}


def _interpreter(command: Path, env: Mapping[str, str]) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        given = [sys.executable, __file__, str(command), str(theirs.fileno())]
        return ours, subprocess.Popen(given, env=dict(env), pass_fds=[theirs.fileno()])


def _wait_to_be_forked(requests: socket.socket) -> None:
    """Return in a fork that is to be the command. The interpreter that is forked never returns."""
    while True:
        text, files, _, _ = socket.recv_fds(requests, MOST, 3)
        with suppress(ChildProcessError):  # those that have ended are waited for, and at the end all
            while os.waitpid(-1, os.WNOHANG if text else 0)[0]:
                pass
        if not text:
            os._exit(0)
        if os.fork() == 0:
            requests.close()
            _wait_for_a_fork(files.pop())
            return _become(json.loads(text), files)
        for file in files:
            os.close(file)


def _wait_for_a_fork(status: int) -> None:
    """Fork once more, and return in the fork. The other says the fork's process and how it ended, and ends."""
    if child := os.fork():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.write(status, f"{child:31}\n".encode())
        _, ended = os.waitpid(child, 0)
        with suppress(BrokenPipeError):
            os.write(status, f"{os.waitstatus_to_exitcode(ended):31}\n".encode())
        os._exit(0)
    os.close(status)


def _become(request: Mapping[str, object], files: Sequence[int]) -> None:
    sys.argv[:] = request["argv"]  # type: ignore[call-overload]
    os.chdir(str(request["cwd"]))
    os.environ.clear()
    os.environ.update(request["env"])  # type: ignore[call-overload]
    time.tzset()
    for file, number in zip(files, (1, 2), strict=True):
        os.dup2(file, number)
        os.close(file)


def _end(code: int) -> None:
    """End as an interpreter does, but free no module: each page of one is shared, and would first be copied."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for the threads that are no daemons
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    import gc

    from sciexam.cli import command_line
    from sciexam.cli import main as command

    sys.path[0] = str(Path(sys.argv[1]).parent)  # where the interpreter of an executed command looks first
    for name in IMPORTED:
        importlib.import_module(name)
    command_line()  # which imports all commands
    gc.freeze()  # what is shared is not searched, and so not copied
    _wait_to_be_forked(socket.socket(fileno=int(sys.argv[2])))
    try:
        command()
    except SystemExit as ended:
        _end(int(ended.code or 0))


if __name__ == "__main__":
    main()
