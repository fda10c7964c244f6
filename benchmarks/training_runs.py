"""One run of a stage, by sciexam or by TRL alone, with a clock and a count of tokens that are the same for both.

Each function here is called in a process of its own, so that the memory that was used is that run's.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training_world import SEED

KEPT = 3  # checkpoints


@dataclass(slots=True)
class Run:
    """What was learnt from in the loop of a training: tokens without padding, tokens with it; seconds; megabytes.

    `learnt` are the weights that are trained. `whole`: from files to files, what is not the loop included.
    """

    tokens: int = 0
    padded: int = 0
    seconds: float = 0.0
    processor: float = 0.0
    peak: float = 0.0
    whole: float = 0.0
    learnt: int = 0


def run(who: str, stage: str, world: Path, precision: str) -> dict[str, Run]:
    """Train a stage; by the name of a row of the table, what it took."""
    from sciexam.models.checkpoint_files import silence
    from sciexam.train.fitting import quietly

    silence()
    out = world / "out"
    shutil.rmtree(out, ignore_errors=True)
    began, clock = time.perf_counter(), Clock()
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), quietly():
        _watch_trainers(clock)
        drawn = ours(stage, world, precision, out, clock) if who == "sciexam" else theirs(stage, world, precision, out)
    clock.run.whole = time.perf_counter() - began
    shutil.rmtree(out)
    clock.run.peak = _peak()
    if drawn is None:
        return {stage: clock.run}
    drawn.peak, drawn.whole = clock.run.peak, clock.run.whole
    return {f"{stage}, drawing": drawn, f"{stage}, learning": clock.run}


def _peak() -> float:
    """Megabytes that were held at once: of the accelerator where there is one, or else of the process."""
    import torch

    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated()) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# ---------------------------------------------------------------- the clock


class Clock:
    """Runs from the beginning of a loop to its end, its checkpoints included."""

    def __init__(self) -> None:
        self.run = Run()
        self._counted: list[tuple[Any, int]] = []

    def begin(self, model: Any) -> None:
        self.run.learnt = sum(one.numel() for one in model.parameters() if one.requires_grad)
        _wait()
        self._began, self._processor = time.perf_counter(), time.process_time()

    def count(self, ids: Any, padding: int) -> None:
        self._counted.append(((ids != padding).sum(), ids.numel()))  # read later: an accelerator need not wait

    def end(self) -> None:
        _wait()
        self.run.seconds = time.perf_counter() - self._began
        self.run.processor = time.process_time() - self._processor
        self.run.tokens = sum(int(tokens) for tokens, _ in self._counted)
        self.run.padded = sum(padded for _, padded in self._counted)


def _wait() -> None:
    """Until an accelerator has done what it was given."""
    import torch

    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def _watch_trainers(clock: Clock) -> None:
    """Have every trainer of transformers in this process tell the clock, whoever has made it.

    A token is counted where it is looked up in order to learn from it: once a step, with gradients.
    """
    import torch
    from transformers import TrainerCallback, trainer

    class Watching(TrainerCallback):  # type: ignore[misc, unused-ignore]
        def on_train_begin(self, *_: Any, model: Any, processing_class: Any, **__: Any) -> None:
            padding = processing_class.pad_token_id

            def look(module: Any, given: tuple[Any, ...]) -> None:
                if torch.is_grad_enabled():
                    clock.count(given[0], padding)

            model.get_input_embeddings().register_forward_pre_hook(look)
            clock.begin(model)

        def on_train_end(self, *_: Any, **__: Any) -> None:
            clock.end()

    trainer.DEFAULT_CALLBACKS.append(Watching)


@contextmanager
def _watching_ppo(clock: Clock) -> Iterator[None]:
    """The same for the loop of PPO, which is no trainer's. Its tokens are those of the rollouts, once a step."""
    from sciexam.train.ppo import Training, networks

    rollouts, leave = Training.rollouts, networks.ActorCritic.leave

    def counted(self: Any) -> Any:
        if not self.networks.step:
            clock.begin(self.networks.policy)
        found = rollouts(self)
        clock.count(found.ids, self.networks.tokenizer.pad_token_id)
        return found

    def left(self: Any, folder: Path) -> None:
        clock.end()
        leave(self, folder)

    Training.rollouts, networks.ActorCritic.leave = counted, left  # type: ignore[method-assign]
    try:
        yield
    finally:
        Training.rollouts, networks.ActorCritic.leave = rollouts, leave  # type: ignore[method-assign]


# ---------------------------------------------------------------- by sciexam


def ours(stage: str, world: Path, precision: str, out: Path, clock: Clock) -> Run | None:
    """As `sciexam train` does it, without the exam at its end; what was drawn before, if anything was."""
    from sciexam.suite import load_suite
    from sciexam.train.stages import prepare
    from sciexam.train.walk import fit_job
    from sciexam.train.workshop import Workshop

    workshop = Workshop(load_suite(str(world / f"{precision}.yaml"), out), out)
    job, rows = prepare(workshop, stage, out / "work")
    drawn = None
    if stage == "best_of_n":
        drawn = _timed(lambda: job.write(rows))
        drawn.tokens = drawn.padded = _tokens_drawn(workshop, stage)
    else:
        job.write(rows)
    if stage == "ppo":
        with _watching_ppo(clock):
            fit_job(job, workshop)
    else:
        fit_job(job, workshop)
    return drawn


def _timed(draw: Callable[[], None]) -> Run:
    """How long it takes, less what it reads weights for."""
    from sciexam.models.checkpoint_loading import Loading

    read, loading = Loading.read, Run()

    def timed(self: Any, device: str) -> Any:
        began, processor = time.perf_counter(), time.process_time()
        try:
            return read(self, device)
        finally:
            loading.seconds += time.perf_counter() - began
            loading.processor += time.process_time() - processor

    Loading.read = timed  # type: ignore[method-assign]
    try:
        began, processor = time.perf_counter(), time.process_time()
        draw()
        _wait()
        seconds, processor = time.perf_counter() - began, time.process_time() - processor
        return Run(seconds=seconds - loading.seconds, processor=processor - loading.processor)
    finally:
        Loading.read = read  # type: ignore[method-assign]


def _tokens_drawn(workshop: Any, stage: str) -> int:
    """Read from the ledger, which has the answers by now."""
    from sciexam.train.data.candidates import answers

    spec = workshop.suite.models[stage]
    drawn = answers(workshop, [spec.parent], Path(spec.prompts), spec.n, spec.temperature, spec.top_p)
    return sum(answer.reply.output_tokens or 0 for one in drawn for answer in one.answers)


# ---------------------------------------------------------------- by TRL alone


def theirs(stage: str, world: Path, precision: str, out: Path) -> None:
    """The same stage as TRL's documentation shows it: a path, a dataset, a configuration."""
    said = json.loads((world / f"{precision}.yaml").read_text())["models"][stage]
    trainer = THEIRS[stage](said, world, _arguments(said, out))
    trainer.train()
    trainer.save_model(str(out / "weights"))
    trainer.processing_class.save_pretrained(out / "weights")


def _arguments(said: dict[str, Any], out: Path) -> dict[str, Any]:
    import torch

    on_cpu = not torch.accelerator.is_available()
    return {
        "output_dir": str(out),
        "per_device_train_batch_size": said["batch_size"],
        "max_steps": said["steps"],
        "learning_rate": said["learning_rate"],
        "lr_scheduler_type": "cosine",
        "seed": SEED,
        "data_seed": SEED,
        "bf16": said["dtype"] == "bf16",
        "use_cpu": on_cpu,
        "gradient_checkpointing": not on_cpu,
        "dataloader_pin_memory": not on_cpu,
        "save_steps": said["save_steps"],
        "save_total_limit": KEPT,
        "logging_steps": min(10, said["save_steps"]),
        "disable_tqdm": True,
        "report_to": "none",
    }


def _given(said: dict[str, Any], task: str) -> dict[str, Any]:
    """The adapter and the bits of the weights below it."""
    if "lora" not in said:
        return {}
    import torch
    from peft import LoraConfig
    from transformers import BitsAndBytesConfig

    head = ["score"] if task == "SEQ_CLS" else None
    lora = LoraConfig(
        r=said["lora"]["r"],
        lora_alpha=2 * said["lora"]["r"],
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type=task,
        modules_to_save=head,
    )
    bits = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if torch.accelerator.is_available() else torch.float32,
        llm_int8_skip_modules=head,
    )
    return {"peft_config": lora} | ({"quantization_config": bits} if said.get("quantization") == "nf4" else {})


def _loading(said: dict[str, Any]) -> dict[str, Any]:
    return {"model_init_kwargs": {"dtype": "bfloat16" if said["dtype"] == "bf16" else "float32"}}


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _asked(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def _answered(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _sft(said: dict[str, Any], world: Path, arguments: dict[str, Any]) -> Any:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows = [
        {"prompt": _asked(line["prompt"]), "completion": _answered(line["completion"])}
        for line in _lines(world / said["data"])
    ]
    completion_only = said["stage"] == "sft"
    config = SFTConfig(
        max_length=said["max_length"], completion_only_loss=completion_only, **_loading(said), **arguments
    )
    model = str(world / ("policy" if completion_only else "base"))
    return SFTTrainer(model, args=config, train_dataset=Dataset.from_list(rows), **_given(said, "CAUSAL_LM"))


def _reward(said: dict[str, Any], world: Path, arguments: dict[str, Any]) -> Any:
    """Its rows are the tokens that the stage has made of the same file, in their order: some pairs are held out."""
    from datasets import Dataset
    from trl import RewardConfig, RewardTrainer

    rows = [{key: line[key] for key in ("chosen_ids", "rejected_ids")} for line in _lines(world / "reward.rows.jsonl")]
    config = RewardConfig(max_length=said["max_length"], **_loading(said), **arguments)
    policy = str(world / "policy")
    return RewardTrainer(policy, args=config, train_dataset=Dataset.from_list(rows), **_given(said, "SEQ_CLS"))


def _dpo(said: dict[str, Any], world: Path, arguments: dict[str, Any]) -> Any:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    rows = [
        {"prompt": _asked(line["prompt"])} | {key: _answered(line[key]) for key in ("chosen", "rejected")}
        for line in _lines(world / said["data"])
    ]
    config = DPOConfig(max_length=said["max_length"], beta=0.1, **_loading(said), **arguments)
    policy = str(world / "policy")
    return DPOTrainer(policy, args=config, train_dataset=Dataset.from_list(rows), **_given(said, "CAUSAL_LM"))


def _rloo(said: dict[str, Any], world: Path, arguments: dict[str, Any]) -> Any:
    from datasets import Dataset
    from trl import RLOOConfig, RLOOTrainer

    rows = [{"prompt": _asked(line["text"])} for line in _lines(world / said["prompts"])]
    config = RLOOConfig(
        num_generations=said["n"],
        beta=0.05,
        max_completion_length=said["max_new_tokens"],
        temperature=1.0,
        normalize_advantages=True,
        disable_dropout=True,
        **_loading(said),
        **arguments,
    )
    policy, scorer = str(world / "policy"), str(world / "scorer")
    data = Dataset.from_list(rows)
    return RLOOTrainer(policy, reward_funcs=scorer, args=config, train_dataset=data, **_given(said, "CAUSAL_LM"))


THEIRS = {"pretrain": _sft, "sft": _sft, "reward": _reward, "dpo": _dpo, "rloo": _rloo}
