"""`trainer:` in a stage: settings of TRL's trainer by its own names, and which of them it may hold.

A trainer leaves a good part of what it may be told undone without a word: for models that are given in memory, for rows
that are given in tokens, for losses that do not read it. Whatever would have no effect is refused here, as is what the
stage has a key of its own for. It is checked before anything is trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import fields
from importlib.util import find_spec
from typing import Any

from sciexam.errors import UsageError, did_you_mean
from sciexam.lineage.specs import kind_of
from sciexam.lineage.stages import Dpo, Trained
from sciexam.models.checkpoint_files import silence
from sciexam.train.fitting import quietly

# The configuration of each stage's trainer; PPO has no trainer of another library.
CONFIGURATIONS = {
    "pretrain": "SFTConfig",
    "sft": "SFTConfig",
    "best_of_n": "SFTConfig",
    "reward": "RewardConfig",
    "dpo": "DPOConfig",
    "self_rewarding": "DPOConfig",
    "rloo": "RLOOConfig",
}

# What the stage has a key of its own for.
OUR_KEYS = {
    "learning_rate": "learning_rate",
    "lr_scheduler_type": "schedule",
    "warmup_steps": "warmup",
    "warmup_ratio": "warmup",
    "weight_decay": "weight_decay",
    "num_train_epochs": "epochs",
    "max_steps": "steps",
    "per_device_train_batch_size": "micro_batch",
    "gradient_accumulation_steps": "batch_size",
    "seed": "seed",
    "data_seed": "seed",
    "bf16": "dtype",
    "fp16": "dtype",
    "save_steps": "save_steps",
    "max_length": "max_length",
    "packing": "packing",
    "completion_only_loss": "completion_only",
    "center_rewards_coefficient": "center",
    "beta": "beta",
    "loss_weights": "loss_weights",
    "num_generations": "n",
    "max_completion_length": "max_new_tokens",
    "temperature": "temperature",
    "disable_dropout": "dropout",
}

# Files, runs and evaluations are the walk's; models and rows are given; nothing is fetched, sent or run.
_OF_THE_WALK = (
    *("output_dir", "save_strategy", "save_only_model", "resume_from_checkpoint", "load_best_model_at_end"),
    *("do_train", "do_eval", "do_predict", "do_sample", "logging_nan_inf_filter", "use_cpu", "ddp_backend"),
    *("remove_unused_columns", "dataset_text_field", "dataset_kwargs", "dataset_num_proc", "shuffle_dataset"),
    *("assistant_only_loss", "chat_template_path", "chat_template_kwargs", "eos_token", "pad_token", "formatting_func"),
    *("model_init_kwargs", "trust_remote_code", "auto_find_batch_size", "label_smoothing_factor", "padding_free"),
    *("log_completions", "log_multimodal", "num_completions_to_print", "log_unique_prompts", "reward_weights"),
)
_OF_THE_WALK_AT_FRONT = ("eval_", "per_device_eval_", "hub_", "push_to_hub", "jit_mode_eval", "vllm_", "use_vllm")

# Answers are drawn by the exam's own decoding, from the whole distribution, once for each step.
_OF_ROLLOUTS = (
    *("top_p", "top_k", "min_p", "repetition_penalty", "generation_kwargs", "cache_implementation"),
    *("num_iterations", "epsilon", "epsilon_high", "steps_per_generation", "generation_batch_size"),
    *("use_transformers_continuous_batching", "transformers_continuous_batching_config", "use_transformers_paged"),
    *("num_generations_eval", "ds3_gather_for_generation"),
)

# What is read together with another setting only: by the losses of DPO, or by settings of the trainer.
_READ_BY_LOSSES = {
    "label_smoothing": ("robust", "exo_pair", "aot", "aot_unpaired"),
    "discopop_tau": ("discopop",),
}
_READ_WITH = {
    "f_alpha_divergence_coef": "f_divergence_type",
    "ref_model_mixup_alpha": "sync_ref_model",
    "ref_model_sync_steps": "sync_ref_model",
    "precompute_ref_batch_size": "precompute_ref_log_probs",
    "fsdp_config": "fsdp",
}


def check_trainer_settings(name: str, spec: Trained) -> None:
    """Raises UsageError for a setting in `trainer:` that the trainer of this stage does not know, or would not heed."""
    kind = CONFIGURATIONS.get(str(kind_of(spec)))
    if kind is None or not (spec.trainer or "exo_pair" in getattr(spec, "loss", ())):
        return
    silence()
    import trl

    configuration = getattr(trl, kind)
    known = {field.name for field in fields(configuration)}
    faults = [fault for key in spec.trainer for fault in _faults(key, spec, known, kind)]
    if faults:
        raise UsageError("\n".join(f"{name}: trainer.{fault}" for fault in faults))
    _check_values(name, spec, configuration)


def _faults(key: str, spec: Trained, known: set[str], kind: str) -> Iterator[str]:
    said: Mapping[str, Any] = spec.trainer
    own = "loss" if key == "loss_type" and kind == "DPOConfig" else OUR_KEYS.get(key)
    unread = (
        own is not None
        or key in _OF_THE_WALK
        or key.startswith(_OF_THE_WALK_AT_FRONT)
        or (key in _OF_ROLLOUTS and kind == "RLOOConfig")
        or (key == "train_sampling_strategy" and kind != "DPOConfig")
    )
    if key not in known:
        yield f"{key}: {kind} has no such setting{did_you_mean(key, known)}"
    elif own in type(spec).model_fields:
        yield f"{key}: the stage has a key for it: {own}"
    elif key == "report_to":
        yield f"{key}: a tracker is named on the command line: --track"
    elif unread:
        yield f"{key}: it would have no effect here, or break what sciexam does; leave it out"
    elif kind == "DPOConfig" and (losses := _READ_BY_LOSSES.get(key)) and not {*losses} & {*_losses(spec)}:
        yield f"{key}: loss: {', '.join(_losses(spec))} does not read it; it belongs to {', '.join(losses)}"
    elif (other := _READ_WITH.get(key)) and not said.get(other):
        yield f"{key}: it is read together with {other}, which is not set"
    elif key in ("fsdp", "deepspeed"):
        yield from _of_dealing_out(key, said[key])


def _of_dealing_out(key: str, value: Any) -> Iterator[str]:
    """What keeps weights from being dealt out among devices, which a trainer may leave undone without a word."""
    import torch

    if not value:
        return
    if key == "fsdp" and not torch.accelerator.is_available():
        yield (
            "fsdp: there is no accelerator here, without which each process would hold all weights; leave it out, or "
            "train on a machine that has some"
        )
    elif key == "deepspeed" and isinstance(value, str):
        yield (
            f"deepspeed: write what {value} holds here itself, as a mapping: it is part of what the model is, and a "
            "name is not"
        )
    elif key == "deepspeed" and find_spec("deepspeed") is None:
        yield "deepspeed: it is not installed here: pip install deepspeed"


def _losses(spec: Trained) -> tuple[str, ...]:
    return spec.loss if isinstance(spec, Dpo) else ("sigmoid",)


def _check_values(name: str, spec: Trained, configuration: Any) -> None:
    """Raises UsageError for values that the trainer refuses."""
    if "exo_pair" in _losses(spec) and not spec.trainer.get("label_smoothing"):
        raise UsageError(f"{name}: loss: exo_pair needs a smoothing above 0: trainer: {{label_smoothing: 0.001}}")
    try:
        with quietly():
            own = deepcopy(spec.trainer)  # mappings in it are filled in
            configuration(output_dir="unused", use_cpu=True, bf16=False, **own)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name}: trainer: {' '.join(str(error).split())}") from None
