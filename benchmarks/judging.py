"""What a verdict costs the machine, beside a server that answers at once or takes its time.

    python benchmarks/judging.py                         # prints Markdown; a few minutes
    python benchmarks/judging.py --only 64               # one number of calls in flight
    python benchmarks/judging.py --short                 # small numbers, once: what `make bench` runs

`sciexam compare` judges recorded answers by a model behind a local server that runs in a process of its own. Everything
counts: start, rendering, HTTP, parsing, the durable ledger, the report. The server only looks for the nonce, so that it
is not what is measured. Beside it the bare official client and bare aiohttp ask the same server the same number of
times, 8,000 at most. Then the same command once more, with nothing left to do; and how long a command takes to begin.

The processor's time is that of the client's process, user and system; on a machine that others use it is the steadiest
figure, and steadier yet is its ratio to a bare client that was run beside it. "Of the bound" is of the whole command,
"while asking" of the time from the first request to the last reply, as the server saw them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import IO

NONCE = re.compile(rb"VERDICT ([0-9a-f]{12}):")
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Case:
    """`verdicts` at `in_flight` at once, each of which takes the server `latency` seconds."""

    in_flight: int
    latency: float
    verdicts: int


CASES = (Case(16, 0.0, 4_000), Case(64, 0.1, 20_000), Case(1024, 1.0, 40_000))
BARE_CALLS = 8_000  # that a bare client makes at most
SHORT = (Case(64, 0.1, 1_000),)
DONE = (100, 10_000)  # prompts of a comparison with nothing left to do
PATIENCE = 600.0  # seconds that a bare client waits: on a busy machine a thousand connections take their time


@dataclass(frozen=True, slots=True)
class Cost:
    """`asking`: seconds from the first request to the last reply, as the server saw them."""

    seconds: float
    cpu: float
    peak_mb: float
    asking: float = 0.0


# ---------------------------------------------------------------- the server


async def _serve(latency: float) -> None:
    """Prints its port, and when the first request came; `GET /window` tells of the calls since it was last asked."""
    telling = iter([print])
    moments: list[float] = []

    def window() -> bytes:
        body = json.dumps([moments[0], moments[-1]]).encode()
        moments.clear()
        return b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"GET /window"):
                    writer.write(window())
                    return writer.close()
                moments.append(time.time())
                for tell in telling:
                    tell(time.time(), flush=True)
                found = LENGTH.search(head)
                body = await reader.readexactly(int(found[1]) if found else 0)
                if latency:
                    await asyncio.sleep(latency)
                writer.write(_reply(body))
                await writer.drain()
                moments.append(time.time())
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


def _reply(body: bytes) -> bytes:
    nonces = NONCE.findall(body)
    side = "A>B" if body[-1] % 2 else "B>A"
    text = f"Both were read.\n\nVERDICT {nonces[-1].decode()}: {side}" if nonces else "A plain reply."
    reply = {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "local",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": len(body) // 4, "completion_tokens": 20, "total_tokens": len(body) // 4 + 20},
    }
    raw = json.dumps(reply).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(raw) + raw


@contextmanager
def server(latency: float) -> Iterator[tuple[str, IO[str]]]:
    """Its URL, and where it tells when the first request came."""
    command = [sys.executable, __file__, "--serve", str(latency)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1", process.stdout
    finally:
        process.kill()
        process.wait()


# ---------------------------------------------------------------- those who are measured


def write_suite(folder: Path, case: Case, url: str) -> Path:
    """A suite of recorded answers of 150 words, so that one judge in both orders makes `case.verdicts`."""
    prompts = case.verdicts // 2
    words = [f"word{i}" for i in range(300)]
    with (folder / "prompts.jsonl").open("w") as file:
        for i in range(prompts):
            file.write(json.dumps({"id": f"p{i}", "text": f"Why does thing {i} happen, and how do we know?"}) + "\n")
    for name in ("a", "b"):
        with (folder / f"{name}.jsonl").open("w") as file:
            for i in range(prompts):
                text = " ".join(words[(i * 7 + j) % 300] for j in range(150)) + f" {name}{i}"
                file.write(json.dumps({"prompt": f"p{i}", "text": text}) + "\n")
    judge = {"backend": "openai", "model": "local", "base_url": url, "concurrency": case.in_flight}
    suite = {
        "suite": "bench",
        "prompts": "prompts.jsonl",
        "models": {name: {"responses": f"{name}.jsonl"} for name in ("a", "b")},
        "contestants": ["a", "b"],
        "judges": {"llm": judge},
    }
    path = folder / "bench.yaml"
    path.write_text(json.dumps(suite))
    return path


def measured(command: list[str], folder: Path) -> Cost:
    """Wall clock, CPU of the process and its largest memory; it must succeed."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        assert process.stderr is not None
        raise SystemExit(f"{' '.join(command)} failed: {process.stderr.read().decode()}")
    return Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def asked(command: list[str], folder: Path, url: str) -> Cost:
    cost = measured(command, folder)
    with urllib.request.urlopen(f"{url.removesuffix('/v1')}/window") as answer:
        first, last = json.load(answer)
    return replace(cost, asking=last - first)


def bare_client(url: str, in_flight: int, calls: int) -> None:
    """The official client alone: nothing is rendered, parsed or kept."""
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

    async def ask() -> None:
        import httpx2  # the client's own transport

        limits = httpx2.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
        http = DefaultAsyncHttpxClient(limits=limits)
        client = AsyncOpenAI(api_key="none", base_url=url, max_retries=0, timeout=PATIENCE, http_client=http)
        gate = asyncio.Semaphore(in_flight)
        text = "word " * 450

        async def one(number: int) -> None:
            async with gate:
                message = {"role": "user", "content": f"{text} {number} VERDICT 0123456789ab:"}
                await client.chat.completions.create(model="local", messages=[message], max_tokens=1024)  # type: ignore[list-item]

        await asyncio.gather(*(one(number) for number in range(calls)))
        await client.close()

    asyncio.run(ask())


def bare_aiohttp(url: str, in_flight: int, calls: int) -> None:
    """The same with nothing but the library that our own connections are made of."""
    import aiohttp

    async def ask() -> None:
        text, numbers = "word " * 450, iter(range(calls))
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session:

            async def some() -> None:
                for number in numbers:
                    message = {"role": "user", "content": f"{text} {number} VERDICT 0123456789ab:"}
                    body = {"model": "local", "messages": [message], "max_tokens": 1024}
                    async with session.post(f"{url}/chat/completions", json=body) as answer:
                        json.loads(await answer.read())

            await asyncio.gather(*(some() for _ in range(in_flight)))

    asyncio.run(ask())


BARE = {"the official client alone": bare_client, "aiohttp alone": bare_aiohttp}


def median(costs: list[Cost]) -> Cost:
    middle = len(costs) // 2
    columns = zip(*((c.seconds, c.cpu, c.peak_mb, c.asking) for c in costs), strict=True)
    return Cost(*(sorted(column)[middle] for column in columns))


def rows(cases: tuple[Case, ...], repeat: int) -> Iterator[str]:
    yield (
        "| calls in flight | latency | verdicts | who | verdicts/s | of the bound | while asking "
        "| CPU a verdict | peak memory |"
    )
    yield "|--:|--:|--:|---|--:|--:|--:|--:|--:|"
    for case in cases:
        fewer = replace(case, verdicts=min(case.verdicts, BARE_CALLS))
        costs: dict[str, list[Cost]] = {name: [] for name in ("sciexam compare", *BARE)}
        for _ in range(repeat):  # in turn, so that all meet the same moods of the machine
            with server(case.latency) as (url, _), tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                costs["sciexam compare"].append(asked(compare(write_suite(folder, case, url)), folder, url))
                for who in BARE:
                    bare = [sys.executable, str(Path(__file__).absolute()), "--bare", who, url, str(case.in_flight)]
                    costs[who].append(asked([*bare, str(fewer.verdicts)], folder, url))
        for who, found in costs.items():
            yield _case_row(fewer if who in BARE else case, who, median(found))


def _case_row(case: Case, who: str, cost: Cost) -> str:
    bound = case.in_flight / case.latency if case.latency else None
    rates = [case.verdicts / seconds for seconds in (cost.seconds, cost.asking)]
    shares = " | ".join(f"{rate / bound:.0%}" if bound else "" for rate in rates)
    return (
        f"| {case.in_flight:,} | {case.latency:g} s | {case.verdicts:,} | {who} | {rates[0]:,.0f} | {shares} "
        f"| {1000 * cost.cpu / case.verdicts:.2f} ms | {cost.peak_mb:,.0f} MB |"
    )


def compare(suite: Path) -> list[str]:
    return [str(Path(sys.executable).parent / "sciexam"), "compare", "-s", str(suite), "--quiet"]


def beginnings(prompts: tuple[int, ...], repeat: int) -> Iterator[str]:
    """`--help`, and comparisons in which every fact is there already."""
    yield "| command | seconds | CPU s | peak memory |"
    yield "|---|--:|--:|--:|"
    helping = [measured([compare(Path())[0], "--help"], Path()) for _ in range(repeat)]
    yield _row("--help", median(helping))
    for count in prompts:
        with server(0.0) as (url, told), tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            again = compare(write_suite(folder, Case(64, 0.0, 2 * count), url))
            begun = time.time()
            measured(again, folder)
            first = float(told.readline()) - begun
            yield f"| compare, {count:,} prompts, until the first verdict is asked for | {first:.2f} | | |"
            found = [measured(again, folder) for _ in range(repeat)]
            yield _row(f"compare, {count:,} prompts, nothing left to do, with its report", median(found))


def _row(command: str, cost: Cost) -> str:
    return f"| {command} | {cost.seconds:.2f} | {cost.cpu:.2f} | {cost.peak_mb:,.0f} MB |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", type=int, metavar="IN_FLIGHT")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--serve", type=float, metavar="LATENCY", help=argparse.SUPPRESS)
    parser.add_argument("--bare", nargs=4, metavar=("WHO", "URL", "IN_FLIGHT", "CALLS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a thousand connections are more than some systems' usual
    if given.serve is not None:
        asyncio.run(_serve(given.serve))
    elif given.bare:
        BARE[given.bare[0]](given.bare[1], int(given.bare[2]), int(given.bare[3]))
    else:
        repeat = 1 if given.short else given.repeat
        print(f"Python {platform.python_version()}, openai {version('openai')}, aiohttp {version('aiohttp')}, ", end="")
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; medians of {repeat} runs.\n")
        cases = SHORT if given.short else tuple(c for c in CASES if given.only in (None, c.in_flight))
        for row in rows(cases, repeat):
            print(row, flush=True)
        if not given.only:
            print()
            for row in beginnings(DONE[:1] if given.short else DONE, repeat):
                print(row, flush=True)


if __name__ == "__main__":
    main()
