"""What `sciexam leaderboard` takes where every verdict is in the ledger already: seconds, CPU and memory.

    python benchmarks/leaderboard.py                             # prints Markdown; makes the ledger first, some minutes
    python benchmarks/leaderboard.py --contestants 10 --verdicts 50000
    python benchmarks/leaderboard.py --folder /tmp/board         # keeps the ledger there, and uses it again

The ledger is written through the real Store, under the keys that the command looks for: recorded answers of about 1 kB,
judged in both orders by an LLM with ties, a leaning towards the answer shown first, and some unusable replies. Then the
command runs as a process of its own. Everything counts: start, reading, statistics, all files.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sciexam.types import Presentation, Verdict

PROMPTS, CATEGORIES, WORDS = 408, 8, 170
TIES, INVALID, FIRST = 0.08, 0.004, 0.05
JUDGE = {
    "backend": "openai",
    "model": "judge-1",
    "base_url": "http://localhost:9/v1",  # nothing is asked
    "api_key_env": None,
    "template": "verdict-only",
}


def write_exam(folder: Path, contestants: int, prompts: int) -> Path:
    """A suite with the answers of all contestants; the later ones write more, and better."""
    rng = random.Random(1)
    syllables = ["ka", "lo", "min", "ter", "ra", "vo", "sel", "du", "pir", "na", "gen", "tu", "os", "el", "im", "dra"]
    words = sorted({"".join(rng.choices(syllables, k=rng.randint(1, 3))) for _ in range(4000)})
    names = [f"model-{i:02}" for i in range(contestants)]
    for i, name in enumerate(names):
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            for q in range(prompts):
                text = " ".join(rng.choices(words, k=round(WORDS * rng.lognormvariate(0.002 * i, 0.2))))
                file.write(json.dumps({"prompt": f"q{q}", "text": text}) + "\n")
    with (folder / "prompts.jsonl").open("w", encoding="utf-8") as file:
        for q in range(prompts):
            line = {"id": f"q{q}", "text": f"Why does thing {q} happen?", "category": f"field {q % CATEGORIES}"}
            file.write(json.dumps(line) + "\n")
    suite = {
        "suite": "board",
        "prompts": "prompts.jsonl",
        "models": {name: {"responses": f"{name}.jsonl"} for name in names},
        "contestants": names,
        "baseline": names[0],
        "judges": {"gpt": JUDGE},
        "seed": 1,
    }
    path = folder / "board.yaml"
    path.write_text(json.dumps(suite), encoding="utf-8")
    return path


def fill(folder: Path, path: Path) -> int:
    """Write every answer and every verdict of the board into a ledger; how many verdicts there are."""
    from sciexam.battles import pair
    from sciexam.exam.answers import responses_of
    from sciexam.exam.board.plan import make_board_plan
    from sciexam.exam.plan import conversations_of, presentations_of
    from sciexam.models.terms import USUAL
    from sciexam.store import Store
    from sciexam.suite import load_suite

    plan, models = make_board_plan(load_suite(str(path)), (), None, "all", None, "mean", "category", None, USUAL)
    (rater,) = plan.raters
    count = 0
    with Store(folder / "ledger.sqlite") as store:
        with store.writer() as writer:
            for name in plan.contestants:
                for reply in models[name].generate(one for _, one in conversations_of(plan, name)):
                    writer.put(reply)
        responses = responses_of(plan, store)
        with store.writer() as writer:
            for comparison in pair(plan.prompts, plan.pairs, plan.samples, responses):
                for shown in presentations_of(plan, rater, comparison, store):
                    writer.put(_verdict(rater.name, shown))
                    count += 1
    return count


def _verdict(rater: str, shown: Presentation) -> Verdict:
    """By how far apart the two are, with noise; the null contestant, which has no number, loses."""
    from sciexam.types import Reply

    rng = random.Random(shown.key)
    first, second = (int(n.rpartition("-")[2]) if "-" in n else -60 for n in (shown.first_by, shown.second_by))
    reply = Reply(shown.key, "A", model="judge-1", input_tokens=700, output_tokens=1)
    said = rng.random()
    if said < INVALID:
        return shown.verdict(rater, failure="no verdict", reply=reply)
    if said < INVALID + TIES:
        return shown.verdict(rater, "tie", reply=reply)
    odds = 0.04 * (second - first) - FIRST
    return shown.verdict(rater, "second" if rng.random() < 1 / (1 + math.exp(-odds)) else "first", reply=reply)


def time_board(folder: Path, path: Path, more: Sequence[str]) -> tuple[float, float, float]:
    """Seconds, CPU seconds and peak MiB of one run of the command."""
    command = [str(Path(sys.executable).parent / "sciexam"), "leaderboard", "-s", str(path), *more]
    arguments = ["--store", str(folder / "ledger.sqlite"), "--results", str(folder / "results")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    subprocess.run([*command, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu, after.ru_maxrss / 1024


def rows(folder: Path, contestants: int, verdicts: int, runs: int, more: Sequence[str]) -> Iterator[str]:
    path, there = folder / "board.yaml", folder / "ledger.json"
    if not there.exists():
        pairs = contestants * (contestants - 1) / 2
        begun = time.perf_counter()
        path = write_exam(folder, contestants, max(CATEGORIES, round(verdicts / pairs / 2)))
        count = fill(folder, path)
        there.write_text(json.dumps({"verdicts": count, "seconds": time.perf_counter() - begun}), encoding="utf-8")
    made = json.loads(there.read_text(encoding="utf-8"))
    print(f"The ledger took {made['seconds']:.0f} s to write.", file=sys.stderr)
    yield "| contestants | verdicts | run | seconds | CPU seconds | peak MiB |"
    yield "|---|---|---|---|---|---|"
    for number in range(runs):
        seconds, cpu, peak = time_board(folder, path, more)
        yield f"| {contestants} | {made['verdicts']:,} | {number + 1} | {seconds:.1f} | {cpu:.1f} | {peak:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contestants", type=int, default=50)
    parser.add_argument("--verdicts", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the ledger lies, or is made; default: a temporary folder")
    parser.add_argument("more", nargs="*", help="further arguments of `sciexam leaderboard`")
    given = parser.parse_args()
    print(f"sciexam {version('sciexam')}, Python {platform.python_version()}, numpy {version('numpy')}, ", end="")
    print(f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}\n")
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for row in rows(folder.absolute(), given.contestants, given.verdicts, given.runs, given.more):
            print(row, flush=True)


if __name__ == "__main__":
    main()
