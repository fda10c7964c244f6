"""The weights that a stage begins with, as a trainer takes them; and the adapter that it leaves, merged into them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sciexam.models.checkpoint import LocalCheckpoint
from sciexam.models.checkpoint_files import ADAPTER, Head
from sciexam.models.checkpoint_loading import DTYPES
from sciexam.models.merging import merged
from sciexam.models.settings import Weights
from sciexam.train.job import Job


def tokenizer_of(job: Job) -> Any:
    """The tokenizer that a job begins with, with the chat template that the suite gives it, and with padding."""
    tokenizer = LocalCheckpoint(job.name, Weights(weights=job.parent), "causal", "cpu").tokenizer
    if job.chat_template:
        tokenizer.chat_template = job.chat_template
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


class WeightsToTrain:
    """What a job begins with: whole weights in `job.parent`, with a head for text or for a score."""

    def __init__(self, job: Job, head: Head):
        self._job, self._head = job, head

    def given(self) -> dict[str, Any]:
        """The arguments of a trainer that say what it trains: weights, their bits, and the adapter on them."""
        return {"model": self.model(), "peft_config": self.adapter()}

    def model(self) -> Any:
        """The weights in memory, in fp32 or, where an adapter is trained on them, in what they were saved in.

        They know the folder that they came from, where a reference is read again.
        """
        import transformers

        causal = self._head == "causal"
        kind = transformers.AutoModelForCausalLM if causal else transformers.AutoModelForSequenceClassification
        lora, settings = self._job.settings["lora"], self._job.settings
        dtype = DTYPES[settings["dtype"]] if lora and settings["dtype"] != "auto" else "auto" if lora else "float32"
        changed = {} if settings["dropout"] is None else _dropouts(self._job.parent, settings["dropout"])
        model = kind.from_pretrained(
            self._job.parent,
            dtype=dtype,
            quantization_config=self.quantization(),
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            **({} if causal else {"num_labels": 1}),
            **changed,
        )
        if not causal:
            model.config.pad_token_id = tokenizer_of(self._job).pad_token_id
        model.config.use_cache = False
        return model

    def adapter(self) -> Any:
        """The LoraConfig that the job asks for; None where all weights are trained."""
        lora = self._job.settings["lora"]
        if lora is None:
            return None
        from peft import LoraConfig

        return LoraConfig(
            r=lora["r"],
            lora_alpha=lora["alpha"] or 2 * lora["r"],
            lora_dropout=lora["dropout"],
            target_modules=lora["targets"] if isinstance(lora["targets"], str) else list(lora["targets"]),
            task_type="CAUSAL_LM" if self._head == "causal" else "SEQ_CLS",
            modules_to_save=None if self._head == "causal" else ["score"],
        )

    def quantization(self) -> Any:
        bits = self._job.settings["quantization"]
        if bits == "none":
            return None
        import torch
        from transformers import BitsAndBytesConfig

        kept = None if self._head == "causal" else ["score", "classifier"]
        if bits == "int8":
            return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=kept)
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16 if torch.accelerator.is_available() else torch.float32,
            llm_int8_skip_modules=kept,
        )


def _dropouts(folder: str, share: float) -> dict[str, float]:
    """The settings of a configuration that are shares of dropout, by their names there."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return {
        name: share for name in vars(config) if "dropout" in name or name in ("embd_pdrop", "resid_pdrop", "attn_pdrop")
    }


def make_whole(job: Job, head: Head) -> None:
    """Merge the adapter in `job.weights` into the weights that it was trained on, read unquantised for it.

    Whole weights are left as they are. The adapter stays beside them, in a folder `adapter`.
    """
    if not (job.weights / ADAPTER).is_file():
        return
    adapter = Path(job.folder) / "adapter"
    shutil.rmtree(adapter, ignore_errors=True)
    job.weights.rename(adapter)
    whole = merged(job.name, Weights(weights=job.parent, adapter=str(adapter)), Path(job.folder) / "merged", head)
    Path(whole.weights).rename(job.weights)
    adapter.rename(job.weights / "adapter")
