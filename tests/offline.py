"""A command on a machine without a network: in a namespace that has a loopback alone, watched for whom it asks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import clean_environment

ALONE = ("unshare", "--map-root-user", "--net")
# In the namespace, before the command: the loopback is brought up (SIOCSIFFLAGS with IFF_UP and IFF_RUNNING).
WITH_LOOPBACK = """
import fcntl, os, socket, struct, sys
with socket.socket() as one:
    fcntl.ioctl(one, 0x8914, struct.pack("16sh22x", b"lo", 0x41))
os.execvp(sys.argv[1], sys.argv[1:])
"""
# In every interpreter of the command, also those that it starts: whoever is asked is written down.
WATCH = """
import ipaddress, os, sys

def _is_here(host):
    host = host.decode() if isinstance(host, bytes) else host
    if host in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback or host == "0.0.0.0"
    except ValueError:
        return False

def _watch(event, args):
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):
        host = args[1][0]
    else:
        return
    if not _is_here(host):
        with open(os.environ["SCIEXAM_ASKED"], "a") as file:
            file.write(f"{event} {host}\\n")

sys.addaudithook(_watch)
"""


class Offline:
    """Runs commands without a network in `folder`. `asked` are the hosts outside that any of them asked for."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._asked = folder / "asked.txt"
        (folder / "watch").mkdir(parents=True)
        (folder / "watch" / "sitecustomize.py").write_text(WATCH, encoding="utf-8")

    def run(
        self, *command: str | Path, cwd: Path, timeout: float = 300, **env: str
    ) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(filter(None, [str(self._folder / "watch"), os.environ.get("PYTHONPATH")]))
        given = clean_environment() | {"PYTHONPATH": path, "SCIEXAM_ASKED": str(self._asked)} | env
        whole = [*ALONE, sys.executable, "-S", "-c", WITH_LOOPBACK, *map(str, command)]
        return subprocess.run(whole, cwd=cwd, env=given, capture_output=True, text=True, timeout=timeout, check=False)

    def forget(self) -> None:
        self._asked.unlink()

    @property
    def asked(self) -> list[str]:
        return self._asked.read_text(encoding="utf-8").splitlines() if self._asked.exists() else []


@pytest.fixture
def offline(tmp_path: Path) -> Offline:
    """Skips where nobody may make a network namespace, after showing that there is no way out of one."""
    made = Offline(tmp_path / "offline")
    if not shutil.which("unshare") or made.run("true", cwd=tmp_path).returncode:
        pytest.skip("this system lets nobody make a network namespace (unshare --map-root-user --net)")
    probe = "import socket; socket.create_connection(({!r}, 9), 1)"
    out = made.run(sys.executable, "-c", probe.format("192.0.2.1"), cwd=tmp_path)
    assert "Network is unreachable" in out.stderr
    here = made.run(sys.executable, "-c", probe.format("127.0.0.1"), cwd=tmp_path)
    assert "Connection refused" in here.stderr
    assert set(made.asked) == {"socket.getaddrinfo 192.0.2.1", "socket.connect 192.0.2.1"}, "the watch sees who asks"
    made.forget()
    return made
