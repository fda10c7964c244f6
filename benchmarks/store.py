"""A ledger in SQLite against one in PostgreSQL: facts appended a second, what a board takes to read, bytes a fact.

    python benchmarks/store.py                          # prints Markdown; starts a PostgreSQL server of its own
    python benchmarks/store.py --postgresql postgresql://me@host/empty_database
    python benchmarks/store.py --writers 1 4 --seconds 10 --verdicts 1000000
    python benchmarks/store.py --only-size 100000       # bytes a fact of each kind, and nothing else

Appending goes through the real Writer in processes of their own, all on one ledger: verdicts with their replies of
1 kB, as fast as they become durable. Replies that were paid for are committed in groups of 8 at most, since no more may
wait for their commit; what local weights say, in groups of 200. The server has PostgreSQL's own settings (fsync, full
page writes). Reading is a pass over all verdicts as arrays, by a process of its own, as `sciexam leaderboard` does it.
The size is of a database at rest, indexes included, by so many facts that it grew. Texts are 1,000 characters that zlib
makes half as long (it makes .45 to .52 of answers and verdicts in English), and all differ.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

RAW = 300  # bytes of what an endpoint sent

APPENDING = """
import hashlib, json, os, sys, time
from sciexam.store import Store
from sciexam.types import Reply, Verdict
location, who, seconds, raw = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
subject = hashlib.sha256(b"subject").hexdigest()
counted = 0
def durable(facts):
    global counted
    counted += len(facts)
with Store(location) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    end = time.perf_counter() + seconds
    with store.writer(durable) as writer:
        begun, number = time.perf_counter(), 0
        while time.perf_counter() < end:
            number += 1
            key = hashlib.sha256(f"{who} {number}".encode()).hexdigest()
            said = os.urandom(500).hex()
            reply = Reply(key, said, raw=os.urandom(raw), model="m", input_tokens=700, output_tokens=200)
            writer.put(Verdict(key, f"p{number % 500}", "a", "b", "gpt", subject=subject, preferred="first",
                               reason=said, reply=reply))
    took = time.perf_counter() - begun
print(json.dumps({"facts": counted, "seconds": took}))
"""

FILLING = """
import hashlib, sys
from sciexam.store import Store
from sciexam.types import Verdict
subject = hashlib.sha256(b"subject").hexdigest()
with Store(sys.argv[1]) as store, store.writer() as writer:
    for number in range(int(sys.argv[2])):
        key = hashlib.sha256(str(number).encode()).hexdigest()
        writer.put(Verdict(key, f"p{number % 500}", "a", "b", "gpt", subject=subject, preferred="first"))
"""

SIZING = """
import hashlib, json, os, sys
from sciexam.store import Store
from sciexam.types import Reply, Verdict
location, kind, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
def body(said):
    message = {"role": "assistant", "content": said, "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    usage = {"prompt_tokens": 700, "completion_tokens": 200, "total_tokens": 900}
    told = {"id": "chatcmpl-" + os.urandom(15).hex(), "object": "chat.completion", "created": 1764000000, "model": "m"}
    return json.dumps(told | {"choices": [choice], "usage": usage}).encode()
def fact(number):
    key = hashlib.sha256(f"{kind} {number}".encode()).hexdigest()
    subject = hashlib.sha256(f"{kind} {number // 2}".encode()).hexdigest()
    prompt = f"p{number // 2}"
    if kind == "word":
        reply = Reply(key, "A", raw=b"A", model="m", input_tokens=700, output_tokens=1)
        return Verdict(key, prompt, "a", "b", "gpt", subject=subject, probability_second=number / count, reply=reply)
    said = os.urandom(500).hex()
    if kind == "verdict":
        said, reason = f"{said}\\nVERDICT {key[:8]}: A>B", said
    reply = Reply(key, said, raw=body(said), model="m", input_tokens=700, output_tokens=200)
    if kind == "response":
        return reply
    return Verdict(key, prompt, "a", "b", "gpt", subject=subject, preferred="first", reason=reason, reply=reply)
with Store(location) as store:
    for start in range(0, count, 1000):
        store.append([fact(number) for number in range(start, min(start + 1000, count))])
"""
KINDS = {
    "response": "a response of 1,000 characters, from an endpoint",
    "verdict": "a verdict with a reason of 1,000 characters, from an endpoint",
    "word": "a verdict by the probabilities of one word, from local weights",
}

READING = """
import hashlib, json, resource, sys, time
import numpy as np
from sciexam.store import Store
from sciexam.store.columns import Wanted
count = int(sys.argv[2])
digests = b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(count))
wanted = Wanted(np.frombuffer(digests, dtype=np.uint8).reshape(-1, 32))
with Store(sys.argv[1]) as store:
    store.columns.verdicts(Wanted(np.zeros((1, 32), dtype=np.uint8)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun, cpu = time.perf_counter(), time.process_time()
    found = store.columns.verdicts(wanted)
    took, cpu = time.perf_counter() - begun, time.process_time() - cpu
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
assert (found.status == 0).all()
print(json.dumps({"seconds": took, "cpu": cpu, "grown": grown}))
"""


def appended(location: str, writers: int, seconds: float, raw: int) -> float:
    """Verdicts a second that `writers` processes make durable in one ledger; `raw`: bytes of an endpoint's answer."""
    command = [sys.executable, "-c", APPENDING, location]
    children = [
        subprocess.Popen(
            [*command, f"{writers} {who}", str(seconds), str(raw)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for who in range(writers)
    ]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    done = [json.loads(child.communicate()[0]) for child in children]
    return float(sum(one["facts"] / one["seconds"] for one in done))


def read(location: str, verdicts: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", READING, location, str(verdicts)], check=True, capture_output=True, text=True
    )
    return dict(json.loads(done.stdout))


def size(location: str) -> int:
    """Bytes of a ledger at rest, with its indexes."""
    if "://" not in location:
        return sum(file.stat().st_size for file in Path(location).parent.glob(f"{Path(location).name}*"))
    import psycopg

    with psycopg.connect(location, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        found = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        assert found is not None
        return int(found[0])


def sizes(ledgers: dict[str, Any], facts: int) -> Iterator[str]:
    """How many bytes a fact of each kind takes, in a ledger that grows by `facts` of each."""
    yield f"| bytes by {facts:,} facts | {' | '.join(ledgers)} |"
    yield "|---" * (1 + len(ledgers)) + "|"
    locations = {name: make() for name, make in ledgers.items()}
    for location in locations.values():
        subprocess.run([sys.executable, "-c", SIZING, location, "word", "1"], check=True)  # the tables are made
    for kind, told in KINDS.items():
        grown = []
        for location in locations.values():
            before = size(location)
            subprocess.run([sys.executable, "-c", SIZING, location, kind, str(facts)], check=True)
            grown.append(f"{(size(location) - before) / facts:,.0f}")
        yield f"| {told} | {' | '.join(grown)} |"


def rows(ledgers: dict[str, Any], writers: list[int], seconds: float, verdicts: int, runs: int) -> Iterator[str]:
    """`ledgers`: by the name of the database, what makes the location of another, empty ledger."""
    yield "| database | processes that write | verdicts a second, from an endpoint | from local weights |"
    yield "|---|---|---|---|"
    for count in writers:
        rates: dict[str, dict[int, list[float]]] = {name: {RAW: [], 0: []} for name in ledgers}
        for _ in range(runs):  # in turn, so that both meet the same moods of the machine
            for raw in (RAW, 0):
                for name, make in ledgers.items():
                    rates[name][raw].append(appended(make(), count, seconds, raw))
        for name, found in rates.items():
            told = (" / ".join(f"{rate:,.0f}" for rate in sorted(found[raw])) for raw in (RAW, 0))
            yield f"| {name} | {count} | {' | '.join(told)} |"
    yield ""
    yield f"| database | a pass over {verdicts:,} verdicts, s | CPU s of the process | memory it adds, MiB |"
    yield "|---|---|---|---|"
    filled = {name: make() for name, make in ledgers.items()}
    for location in filled.values():
        subprocess.run([sys.executable, "-c", FILLING, location, str(verdicts)], check=True)
    passes: dict[str, list[dict[str, float]]] = {name: [] for name in ledgers}
    for _ in range(runs):
        for name, location in filled.items():
            passes[name].append(read(location, verdicts))
    for name, done in passes.items():
        told = (" / ".join(f"{one:.2f}" for one in sorted(each[key] for each in done)) for key in ("seconds", "cpu"))
        yield f"| {name} | {' | '.join(told)} | {max(one['grown'] for one in done):.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postgresql", nargs="+", help="URLs of empty databases, one for each ledger that is written")
    parser.add_argument("--writers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--verdicts", type=int, default=300_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--only-size", type=int, metavar="FACTS", help="measure bytes a fact, with so many of each kind"
    )
    given = parser.parse_args()
    print(f"sciexam {version('sciexam')}, Python {platform.python_version()}, psycopg {version('psycopg')}, ", end="")
    print(f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}\n")
    with tempfile.TemporaryDirectory() as folder:
        files = (str(Path(folder) / f"{number}.sqlite") for number in range(1000))
        cluster = None
        if given.postgresql:
            servers = iter(given.postgresql)
        else:
            sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
            from postgres import Cluster, programs

            bin = programs()
            assert bin is not None, "no PostgreSQL server here: apt install postgresql, or name one with --postgresql"
            made = cluster = Cluster(bin, durable=True)
            servers = (made.url(made.create()) for _ in range(1000))
        try:
            ledgers = {"SQLite": lambda: next(files), "PostgreSQL": lambda: next(servers)}
            measured = (
                sizes(ledgers, given.only_size)
                if given.only_size
                else rows(ledgers, given.writers, given.seconds, given.verdicts, given.runs)
            )
            for row in measured:
                print(row, flush=True)
        finally:
            if cluster:
                cluster.close()


if __name__ == "__main__":
    main()
