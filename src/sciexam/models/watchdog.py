"""Runs a command that ends, with all that it started, when the process that wanted it is gone, however that ended.

    python -I -S watchdog.py COMMAND...

Standard input is a pipe whose other end only that process holds, so it closes even on kill -9. The command is asked to
end (SIGTERM), and ended (SIGKILL) GRACE seconds later. This file stands alone: it must be small, and start at once.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
from types import FrameType

GRACE = 10.0  # seconds that the command has to end by itself
LOOK = 1.0  # seconds between two looks at whether the process that wanted the command is still the parent


def main(command: list[str]) -> int:
    """Run `command` in a process group of its own; returns its exit status."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603

    def end(number: int, frame: FrameType | None) -> None:
        _signal(child.pid, signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=_watch, args=(child.pid,), daemon=True).start()
    status = child.wait()
    _signal(child.pid, signal.SIGKILL)  # what it left running
    return status if status >= 0 else 128 - status


def _watch(group: int) -> None:
    parent = os.getppid()
    while os.getppid() == parent and not select.select([0], [], [], LOOK)[0]:
        pass
    _signal(group, signal.SIGTERM)
    threading.Event().wait(GRACE)
    _signal(group, signal.SIGKILL)


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
