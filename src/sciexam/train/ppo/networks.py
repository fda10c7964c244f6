"""What PPO trains and what it holds that against: the policy, the reference that it began as, and the value function.

The value function is a network of its own, so that its errors, large at first, do not move the policy through a trunk
that both share. It begins as the reward model where that reads the policy's tokens one after the other, as in Ouyang et
al. 2022 (arXiv 2203.02155, appendix C.4), and otherwise as the policy's own trunk with a head of zeros. It lies in the
checkpoints, and not in the artifact.
"""

from __future__ import annotations

import inspect
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sciexam.errors import UsageError
from sciexam.models.checkpoint_loading import Loaded
from sciexam.train.fitting import KEPT
from sciexam.train.job import Job
from sciexam.train.ppo.equations import log_probabilities
from sciexam.train.ppo.learning_rate import adamw, schedule_of
from sciexam.train.ppo.rollouts import Rollouts
from sciexam.train.resuming import newest_first
from sciexam.train.weights import WeightsToTrain, tokenizer_of

VALUE = "value.safetensors"
LARGEST_GRADIENT = 1.0  # its norm, over the policy and the value function together


class ActorCritic:
    """The networks of a job, with the optimizer of two of them; as they were in the checkpoint `begun`, if given.

    `step` counts the steps that were made so far; `beta` is the weight of the penalty for the next one.
    """

    def __init__(self, job: Job, steps: int, device: Any, begun: Path | None = None):
        torch.manual_seed(job.seed)  # an adapter begins with drawn numbers
        said = job.settings
        self._device, self._temperature = device, said["temperature"]
        self.step, self.beta = 0, float(said["beta"])
        self.tokenizer = tokenizer_of(job)
        self.policy = _policy(job, begun).to(device)
        self._reference = None if said["lora"] else _frozen(WeightsToTrain(job, "causal").model().to(device))
        self._value = _value(job).to(device)
        self._halved = said["dtype"] == "bf16" or (said["dtype"] == "auto" and device.type != "cpu")
        self._learners = (self.policy, self._value)
        self._recomputes = device.type != "cpu"
        for model in self._learners:
            # There is no dropout, so this changes no number; but 4-bit weights on a processor that are read once as if
            # nothing were to be learnt are packed for that, and give wrong gradients from then on.
            model.train()
            if self._recomputes:
                model.gradient_checkpointing_enable({"use_reentrant": False})
        self.parameters = [value for model in self._learners for value in model.parameters() if value.requires_grad]
        self._optimizer = adamw(self.parameters, said)
        self._schedule = schedule_of(self._optimizer, said, steps)
        if begun:
            self._restore(begun)

    # ---------------------------------------------------------------- what they say

    @property
    def loaded(self) -> Loaded:
        """The policy as decoding takes it."""
        return Loaded(self.policy, self.tokenizer, str(self._device))

    def log_probabilities(self, rows: Rollouts) -> tuple[Tensor, Tensor]:
        """Of the tokens that were taken, by the policy; and its entropy at each. Both (answers, tokens)."""
        return self._read(self.policy, rows)

    def reference(self, rows: Rollouts) -> Tensor:
        """The same log probabilities by what the policy began as: with an adapter, by the policy without it."""
        if self._reference is not None:
            return self._read(self._reference, rows)[0]
        with self.policy.disable_adapter():
            return self._read(self.policy, rows)[0]

    def values(self, rows: Rollouts) -> Tensor:
        """What the value function expects before each token is taken, (answers, tokens)."""
        whole = _within(self._value)
        with self.precision():
            trunk = getattr(whole, whole.base_model_prefix)
            read = trunk(input_ids=rows.ids, attention_mask=rows.read, use_cache=False).last_hidden_state
        return torch.where(rows.mask, whole.score(rows.at_places(read).float()).squeeze(-1), 0.0)

    def _read(self, model: Any, rows: Rollouts) -> tuple[Tensor, Tensor]:
        # Logits are the largest tensors of all: those within the prompts are left out where a model can do that.
        first = (
            int(rows.places.min()) if "logits_to_keep" in inspect.signature(_within(model).forward).parameters else 0
        )
        kept = {"logits_to_keep": rows.ids.shape[1] - first} if first else {}
        with self.precision():
            logits = model(input_ids=rows.ids, attention_mask=rows.read, use_cache=False, **kept).logits
        said, entropy = log_probabilities(rows.at_places(logits, first), rows.taken, self._temperature)
        return torch.where(rows.mask, said, 0.0), torch.where(rows.mask, entropy, 0.0)

    def precision(self) -> Any:
        """In which precision networks are called."""
        return torch.autocast(self._device.type, torch.bfloat16) if self._halved else nullcontext()

    @contextmanager
    def answering(self) -> Iterator[Loaded]:
        """The policy as decoding takes it: with a cache, which it has not where it computes again for the gradients."""
        self.policy.train(not self._recomputes)
        try:
            with self.precision():
                yield self.loaded
        finally:
            self.policy.train()

    # ---------------------------------------------------------------- how they learn

    def follow(self) -> Tensor:
        """One step down the gradients; their norm before it was bounded."""
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, LARGEST_GRADIENT)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return norm.detach()

    @property
    def learning_rate(self) -> float:
        return float(self._schedule.get_last_lr()[0])

    def end_step(self, beta: float) -> None:
        self.step, self.beta = self.step + 1, beta
        self._schedule.step()

    # ---------------------------------------------------------------- where they go on

    def save(self, checkpoints: Path) -> None:
        """Leave a checkpoint of this step: a folder that is there as a whole or not at all. The last ones are kept."""
        place, draft = checkpoints / f"checkpoint-{self.step}", checkpoints / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        self._save_policy(draft)
        _save_tensors(_trained(self._value), draft / VALUE)
        torch.save(self._optimizer.state_dict(), draft / "optimizer.pt")
        torch.save(self._schedule.state_dict(), draft / "scheduler.pt")
        # Nothing here draws from it, but a model's own code may.
        torch.save(torch.get_rng_state(), draft / "rng_state.pth")
        (draft / "trainer_state.json").write_text(json.dumps({"global_step": self.step, "beta": self.beta}) + "\n")
        _sync(draft)
        shutil.rmtree(place, ignore_errors=True)
        draft.rename(place)
        for old in newest_first(checkpoints)[KEPT:]:
            shutil.rmtree(old)

    def leave(self, folder: Path) -> None:
        """Leave the policy in `folder`, in the place of whatever is there."""
        shutil.rmtree(folder, ignore_errors=True)
        self._save_policy(folder)

    def _save_policy(self, folder: Path) -> None:
        """The policy's weights, or its adapter, and its tokenizer."""
        self.policy.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)  # a page about nobody's model

    def _restore(self, folder: Path) -> None:
        from safetensors.torch import load_file

        told = json.loads((folder / "trainer_state.json").read_bytes())
        self.step, self.beta = int(told["global_step"]), float(told["beta"])
        kept = load_file(folder / VALUE)
        with torch.no_grad():
            for name, value in _trained(self._value).items():
                value.copy_(kept[name])
        self._optimizer.load_state_dict(_load(folder / "optimizer.pt"))
        self._schedule.load_state_dict(_load(folder / "scheduler.pt"))
        torch.set_rng_state(_load(folder / "rng_state.pth"))


def _policy(job: Job, begun: Path | None) -> Any:
    weights = WeightsToTrain(job, "causal")
    if (adapter := weights.adapter()) is None:
        return WeightsToTrain(replace(job, parent=str(begun or job.parent)), "causal").model()
    from peft import PeftModel, get_peft_model

    base = weights.model()
    return PeftModel.from_pretrained(base, str(begun), is_trainable=True) if begun else get_peft_model(base, adapter)


def _frozen(model: Any) -> Any:
    return model.requires_grad_(False).eval()


def _value(job: Job) -> Any:
    as_judge = job.reward is not None and _read_alike(job.reward, job)
    weights = WeightsToTrain(replace(job, parent=job.reward) if as_judge else job, "reward")  # type: ignore[arg-type]
    try:
        value = weights.model()
    except ValueError as error:
        if "Unrecognized configuration class" not in str(error):
            raise
        raise UsageError(
            f"{job.name}: from: transformers has no model of this kind ({_kind(job.parent)}) that makes a number, as "
            "the value function does; write `stage: rloo`, which has none"
        ) from None
    if not as_judge:
        torch.nn.init.zeros_(value.score.weight)
    if (adapter := weights.adapter()) is not None:
        from peft import get_peft_model

        value = get_peft_model(value, adapter)
    _within(value).score.float()
    return value


def _read_alike(reward: str, job: Job) -> bool:
    """Whether a reward model is of the policy's kind, and knows the same tokens by the same numbers."""
    own, others = (tokenizer_of(one).get_vocab() for one in (job, replace(job, parent=reward)))
    return _kind(reward) == _kind(job.parent) and bool(own == others)


def _kind(folder: str) -> str:
    return str(json.loads((Path(folder) / "config.json").read_bytes())["model_type"])


def _within(model: Any) -> Any:
    """The model that an adapter sits on; the model itself where there is none."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _trained(model: Any) -> dict[str, Any]:
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def _save_tensors(tensors: dict[str, Any], path: Path) -> None:
    from safetensors.torch import save_file

    save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, path)


def _load(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _sync(folder: Path) -> None:
    """Bring the files of a folder to the disk, and their names."""
    for path in (*folder.iterdir(), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
