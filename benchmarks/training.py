"""What a step of training costs, beside the same step of TRL alone.

    python benchmarks/training.py                          # prints Markdown; some minutes on two cores
    python benchmarks/training.py --only dpo --repeat 10   # one stage, and a narrower interval
    python benchmarks/training.py --short                  # tiny weights, once: what `make bench` runs
    python benchmarks/training.py --gpu                    # a Llama of seven billion weights with a LoRA, bf16 and nf4

Both train the same weights on the same rows, with the same batches, precision, number of steps, checkpoints and seed:
sciexam by the stage as `sciexam train` runs it (its checks, metrics and checkpoints; without the exam at its end), TRL
by its trainer with a path, a dataset and a configuration. They take turns, so that both meet the same moods of the
machine; each two runs beside each other have a ratio. Every run is a process of its own. Its clock runs from the
beginning of the loop to its end: reading of weights, tokens and saving of the result are in the seconds from files to
files only, imports nowhere. Tokens are those that are learnt from, once a step; their padding is no part of the speed.
TRL alone has no PPO and no best of n.

`--gpu` was never run on an accelerator by those who wrote it, only on a processor with a tiny shape (`--shape tiny`).
It writes about 27 GB of drawn weights into the folder for temporary files (TMPDIR), and half as much again for each
result while it is measured; each process reads its weights anew.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import platform
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from training_runs import THEIRS, Run, run
from training_world import SHAPES, Shape, make_world

STAGES = ("pretrain", "sft", "reward", "best_of_n", "dpo", "rloo", "ppo")
STAGES_ON_GPU = ("sft", "reward", "best_of_n", "dpo")
OURS, TRL = "sciexam", "TRL"
LIBRARIES = ("torch", "transformers", "trl", "peft", "bitsandbytes")
# Imported once, by the process that all others are forked from.
IMPORTED = (
    *("datasets", "peft", "transformers.models.llama.modeling_llama", "trl.trainer.sft_trainer"),
    *("trl.trainer.reward_trainer", "trl.trainer.dpo_trainer", "trl.trainer.rloo_trainer", "training_runs"),
    *("sciexam.train.walk", "sciexam.train.ppo.networks", "sciexam.models.huggingface", "sciexam.exam.marking"),
)
# Dense bf16 FLOP/s of the vendor's data sheets, by a part of the device's name; the longest that is in it counts.
PEAKS = {
    "B200": 2250e12,
    "H200": 989e12,
    "H200 NVL": 835e12,
    "H100": 989e12,
    "H100 NVL": 835e12,
    "H100 PCIe": 756e12,
    "A100": 312e12,
    "A10": 125e12,
    "A10G": 70e12,
    "L40S": 362e12,
    "L4": 121e12,
    "RTX 4090": 165e12,
}


class Machine:
    """Calls functions in processes of their own, one at a time."""

    def __init__(self, gpu: bool):
        # CUDA does not survive a fork: there every process imports its libraries anew.
        self._context = multiprocessing.get_context("spawn" if gpu else "forkserver")
        if not gpu:
            self._context.set_forkserver_preload(list(IMPORTED))

    def call(self, function: Any, *given: Any) -> Any:
        with ProcessPoolExecutor(1, mp_context=self._context) as pool:
            return pool.submit(function, *given).result()


# ---------------------------------------------------------------- rows


Pairs = dict[str, dict[str, list[Run]]]  # by row of the table, then by who ran


def measured(machine: Machine, stage: str, world: Path, precision: str, repeat: int) -> Pairs:
    """The runs of a stage: ours, TRL's, ours, and so on."""
    found: Pairs = {}
    for _ in range(repeat):
        for who in (OURS, TRL) if stage in THEIRS else (OURS,):
            for name, one in machine.call(run, who, stage, world, precision).items():
                found.setdefault(name, {OURS: [], TRL: []})[who].append(one)
    for name, by in found.items():
        _check_alike(name, by)
    return found


def _check_alike(name: str, by: dict[str, list[Run]]) -> None:
    """Answers that are drawn differ; what is read from a file does not."""
    seen = {(one.tokens, one.padded, one.learnt) for runs in by.values() for one in runs}
    if name not in ("rloo", "ppo") and len(seen) > 1:
        raise SystemExit(f"{name}: sciexam and TRL were not given the same: (tokens, with padding, weights) {seen}")


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """How many times as fast ours is: the geometric mean over the pairs, with a t interval of the logarithms."""
    from sciexam.stats import Estimate, mean

    logs = [math.log(their / our) for our, their in zip(ours, theirs, strict=True)]
    if not logs:
        return ""
    found = mean(logs)
    if isinstance(found, Estimate):
        return f"{math.exp(found.value):.2f} [{math.exp(found.low):.2f}, {math.exp(found.high):.2f}]"
    return f"{math.exp(sum(logs) / len(logs)):.2f}"


def head(gpu: bool) -> Iterator[str]:
    columns = ["stage", "n", "tokens", "padding", "tokens/s", "of TRL", "ratio"]
    columns += ["MFU", "of TRL"] if gpu else ["ratio by processor"]
    columns += ["peak memory", "of TRL", "file to file", "of TRL"]
    yield f"| {' | '.join(columns)} |"
    yield f"|---|{'--:|' * (len(columns) - 1)}"


def row(name: str, by: dict[str, list[Run]], beside: Sequence[str]) -> str:
    ours, theirs = by[OURS], by[TRL]
    cells = [
        name,
        f"{len(ours)}",
        f"{_middle(ours, 'tokens'):,.0f}",
        f"{1 - _middle(ours, 'tokens') / _middle(ours, 'padded'):.0%}",
        *(f"{median(map(_speed, runs)):,.0f}" if runs else "" for runs in (ours, theirs)),
        ratio([1 / _speed(one) for one in ours][: len(theirs)], [1 / _speed(one) for one in theirs]),
        *beside,
        *(f"{_middle(runs, 'peak'):,.0f} MB" if runs else "" for runs in (ours, theirs)),
        *(f"{_middle(runs, 'whole'):.1f} s" if runs else "" for runs in (ours, theirs)),
    ]
    return f"| {' | '.join(cells)} |"


def _speed(one: Run) -> float:
    return one.tokens / one.seconds


def _middle(runs: Sequence[Run], what: str) -> float:
    return float(median(getattr(one, what) for one in runs))


def by_processor(by: dict[str, list[Run]]) -> str:
    """The ratio once more, by the time of the processor, which is the steadier of the two on a machine in use."""
    ours, theirs = ([one.processor / one.tokens for one in by[who]] for who in (OURS, TRL))
    return ratio(ours[: len(theirs)], theirs)


# ---------------------------------------------------------------- model FLOP utilisation


FORMULA = """\
Model FLOP utilisation (MFU) is FLOPs a token x tokens a second / peak. With N weights that are multiplied (no table of
tokens; the head of the language model where there is one) and n of them in the adapter, a token that is learnt from
takes 4 N + 6 n: 2 N forward, 2 N backward to the adapters, and no gradients of the weights below them (all weights
would take 6 N). `dpo` adds 2 N for its reference. A token that is drawn takes 2 N to be written, and 2 N without the
head to be marked. Padding, prompts that are only read, attention's square, and what is computed again to save memory
do not count: MFU is of what had to be done.
"""


def flops(name: str, shape: Shape, learnt: int) -> float:
    """Of a token; see FORMULA."""
    causal = shape.weights + shape.head
    if name.endswith("drawing"):
        return 2 * causal + 2 * shape.weights
    below = shape.weights if name == "reward" else causal
    return 4 * below + 6 * learnt + (2 * below if name == "dpo" else 0)


def utilisations(name: str, by: dict[str, list[Run]], shape: Shape, peak: float | None) -> list[str]:
    return [
        f"{median(flops(name, shape, one.learnt) * _speed(one) for one in runs) / peak:.1%}" if runs and peak else ""
        for runs in (by[OURS], by[TRL])
    ]


def peak_of(device: str) -> float | None:
    named = max((name for name in PEAKS if name in device), key=len, default=None)
    return PEAKS[named] if named else None


# ---------------------------------------------------------------- all of it


def report(stages: Sequence[str], shape: Shape, gpu: bool, repeat: int, peak: float | None) -> Iterator[str]:
    machine = Machine(gpu)
    with tempfile.TemporaryDirectory() as name:
        world = Path(name)
        told = machine.call(make_world, world, shape, gpu)
        peak = peak or peak_of(told["device"])
        yield machine_line(told)
        yield shape_line(shape)
        if gpu:
            said = (
                f"Peak: {peak / 1e12:,.0f} TFLOP/s." if peak else f"No peak is known of {told['device']}: give --peak."
            )
            yield f"{FORMULA}{said}\n"
        yield from head(gpu)
        for precision in ("bf16", "nf4") if gpu else ("fp32",):
            for stage in stages:
                for found, by in measured(machine, stage, world, precision, repeat).items():
                    label = f"{found}, {precision}" if gpu else found
                    beside = utilisations(found, by, shape, peak) if gpu else [by_processor(by)]
                    yield row(label, by, beside)
        yield f"\nLoad at the end: {os.getloadavg()[0]:.1f}."


def machine_line(told: dict[str, Any]) -> str:
    libraries = ", ".join(f"{one} {version(one)}" for one in LIBRARIES)
    device = f"{os.cpu_count()} cores, {told['threads']} thread(s)" if told["device"] == "cpu" else told["device"]
    return f"Python {platform.python_version()}, {libraries}; {device}, load {os.getloadavg()[0]:.1f}.\n"


def shape_line(shape: Shape) -> str:
    weights = f"{(shape.weights + shape.head) / 1e6:,.1f} million weights"
    return (
        f"A Llama of width {shape.hidden:,}, {shape.layers} layers and {weights}: {shape.steps} steps of {shape.batch} "
        f"rows of up to {shape.length:,} tokens; twice as many answers of up to {shape.new} where they are drawn. A "
        "ratio above 1 says that sciexam is the faster one. Speeds, memory and seconds are medians of n runs.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3, help="pairs of runs of a stage")
    parser.add_argument("--only", choices=STAGES, help="one stage")
    parser.add_argument("--short", action="store_true", help="tiny weights, one run of each")
    parser.add_argument("--gpu", action="store_true", help="seven billion weights with a LoRA, in bf16 and in nf4")
    parser.add_argument(
        "--peak", type=float, metavar="TFLOPS", help="what the device could do in bf16 without sparsity"
    )
    parser.add_argument("--shape", choices=SHAPES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    shape = SHAPES[given.shape or ("tiny" if given.short else "7b" if given.gpu else "small")]
    stages = [one for one in (STAGES_ON_GPU if given.gpu else STAGES) if given.only in (None, one)]
    peak = given.peak * 1e12 if given.peak else None
    for line in report(stages, shape, given.gpu, 1 if given.short else given.repeat, peak):
        print(line, flush=True)


if __name__ == "__main__":
    main()
