"""The disk is full while verdicts are stored: a file system of 2 MB, and a file that may not grow."""

from __future__ import annotations

import base64
import json
import random
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Cli
from endpoint import Body, Endpoint, judge_longer
from judged import exam, result, usable, verdict_rows
from rows import Tally
from sciexam.store import Store
from sciexam.types import Reply

PROMPTS = 100


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The folder `results`, on a file system of 2 MB."""
    folder = tmp_path / "results"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"may not mount a file system here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def talkative(body: Body) -> str:
    """A verdict whose reason cannot be made much smaller."""
    said = judge_longer(body)
    return base64.b64encode(random.Random(said).randbytes(15_000)).decode() + "\n" + said


def test_a_full_disk_is_said_with_what_is_safe_and_with_room_the_same_command_goes_on(
    tmp_path: Path, small_disk: Path, sciexam: Cli, tally: Tally
) -> None:
    with Endpoint(talkative) as endpoint:
        suite = exam(tmp_path, endpoint.url, PROMPTS)
        done = sciexam("compare", "--suite", str(suite))
        assert done.returncode == 5, done.stderr
        told = re.search(r"no space left.* is safe", done.stderr)
        assert told, done.stderr
        kept = usable(tmp_path)
        assert kept
        assert f"{len(kept)}/{2 * PROMPTS} verdicts; run the same command to go on" in done.stderr
        asked = endpoint.requests
        assert asked < 2 * PROMPTS
        subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
        again = sciexam("compare", "--suite", str(suite), "--json")
        assert result(again)["used"] == PROMPTS
        assert endpoint.requests - asked == 2 * PROMPTS - len(kept)
    tally(1, len(kept - usable(tmp_path)))
    assert kept <= usable(tmp_path)
    assert len(verdict_rows(tmp_path)) == 2 * PROMPTS


FULL = """
    import resource, signal, sys, json, hashlib
    from sciexam.errors import StoreError, UsageError
    from sciexam.store import Store
    from sciexam.types import Reply
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    safe = []
    try:
        with Store(sys.argv[1]) as store:
            resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
            with store.writer(lambda facts: safe.extend(f.key for f in facts)) as writer:
                for number in range(20_000):
                    key = hashlib.sha256(str(number).encode()).hexdigest()
                    writer.put(Reply(key, str(number) * 50, raw=bytes(str(number) * 97, "ascii")))
    except StoreError as error:
        print(json.dumps({"error": str(error), "safe": safe}))
"""


def test_a_full_disk_is_said_and_what_was_acknowledged_is_safe(tmp_path: Path, tally: Tally) -> None:
    path = tmp_path / "l.sqlite"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL), str(path)], capture_output=True, text=True, check=False
    )
    told = json.loads(done.stdout)
    assert "no space left" in told["error"]
    assert "is safe" in told["error"]
    assert told["safe"]
    with Store(path) as store:  # room was made
        assert set(told["safe"]) <= store.replies(told["safe"]).keys()
        store.append([Reply("0" * 64, "goes on")])
    tally(1)
