"""What a run until it is decided saves, counted by a local server: `python benchmarks/until_decided.py`.

Each exam has two contestants and 200 prompts, whose verdicts prefer the second at a true rate, alike in both orders. A
reply takes 50 ms, and each model is asked 16 calls at a time. A fixed run makes 800 calls. Printed for each rate, over
the exams: the prompts read when it stopped (median, and the range), the calls that were made, and those that came after
what the decision needed (four a prompt that was read).
"""

from __future__ import annotations

import hashlib
import re
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import sciexam as sx
from conftest import write_suite
from endpoint import Body, Endpoint, answers_of, nonce_of, prompt_of

PROMPTS = 200
EXAMS = 8
RATES = (0.5, 0.6, 0.7, 0.8)


def judge(rate: float, seed: int, body: Body) -> str:
    nonce = nonce_of(prompt_of(body))
    if nonce is None:
        return f"{body['model']} says why: {body['messages'][-1]['content']}"
    said = answers_of(prompt_of(body))
    question = re.findall(r"thing (\d+)", said[0])[0]
    draw = int.from_bytes(hashlib.sha256(f"{seed} {question}".encode()).digest()[:8]) / 2**64
    best = max(said) if draw < rate else min(said)
    return f"So.\nVERDICT {nonce}: {'A>B' if best == said[0] else 'B>A'}"


def hold(rate: float, seed: int) -> tuple[str, int, int]:
    """The conclusion of one exam, the prompts that it read and the calls that it made."""
    reply = partial(judge, rate, seed)
    with tempfile.TemporaryDirectory() as folder, Endpoint(reply, latency=0.05) as server:
        live = {"backend": "openai", "base_url": server.url, "api_key_env": None}
        models = {name: {**live, "model": name} for name in "ab"}
        path = write_suite(Path(folder), PROMPTS, models, judges={"llm": {**live, "model": "judge"}})
        (pair,) = sx.compare(str(path), until_decided=True, results=Path(folder) / "results").pairs
        assert pair.stop is not None
        return pair.conclusion, pair.stop.prompts, server.requests


def main() -> None:
    print("| true rate | better | undecided | prompts read | calls | calls after the decision |")
    print("|---|---|---|---|---|---|")
    for rate in RATES:
        found = [hold(rate, seed) for seed in range(EXAMS)]
        said = [conclusion for conclusion, _, _ in found]
        read = sorted(prompts for _, prompts, _ in found)
        after = [calls - 4 * prompts for _, prompts, calls in found]
        calls = statistics.mean(calls for _, _, calls in found)
        print(
            f"| {rate:.2f} | {said.count('better')}/{EXAMS} | {said.count('undecided')}/{EXAMS} "
            f"| {statistics.median(read):.0f} ({read[0]}-{read[-1]}) | {calls:.0f} of {4 * PROMPTS} "
            f"| {statistics.mean(after):.0f}, at most {max(after)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
