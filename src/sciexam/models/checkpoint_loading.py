"""From the files of a checkpoint to a model in memory. Only safetensors are read, no code that comes with them is run,
and nothing is fetched.
"""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sciexam.errors import UsageError
from sciexam.models.checkpoint_files import ADAPTER, Files, Head, read_json, silence, tensors_of
from sciexam.models.settings import Checkpoint

LONGEST = 200  # characters of another library's message
HEADS = ("score", "classifier")  # the modules that make a number of what a model read
# What devices and their libraries say that have no room, where it is no OutOfMemoryError: the processor, MPS, CUDA.
NO_ROOM = ("can't allocate memory", "out of memory", "_ALLOC_FAILED")
DTYPES = {"auto": "auto", "bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in memory, ready to be called: in evaluation mode, on `device`, with its adapter on it."""

    model: Any  # a transformers.PreTrainedModel, or a peft.PeftModel around one
    tokenizer: Any  # a transformers.PreTrainedTokenizerBase
    device: str

    @property
    def config(self) -> Any:
        """The configuration of the part that reads text."""
        return self.model.config.get_text_config()

    @property
    def context(self) -> int | None:
        """How many tokens it can read and write in all; None where it does not say."""
        longest = getattr(self.config, "max_position_embeddings", None)
        return longest if isinstance(longest, int) and longest > 0 else None


@dataclass(frozen=True)
class Loading:
    """How the files of a checkpoint are loaded. Every method raises UsageError where they cannot be, in one line."""

    settings: Checkpoint
    files: Files
    head: Head

    @property
    def name(self) -> str:
        return self.files.name

    def read(self, device: str) -> Loaded:
        """The model on `device`. What a device raises that has no room is raised as it is (`out_of_memory`)."""
        silence()
        with quietly():
            model = self._model(device)
            if self.files.adapter:
                model = self._with_adapter(model)
        model.eval()
        tokenizer = self.tokenizer
        if len(tokenizer) > (rows := model.get_input_embeddings().weight.shape[0]):
            raise UsageError(
                f"{self.name}: the tokenizer in {self.files.tokenizer} has {len(tokenizer):,} tokens, and the model "
                f"rows for {rows:,} of them: it is another model's"
            )
        return Loaded(model, tokenizer, device)

    @cached_property
    def tokenizer(self) -> Any:
        """A transformers.PreTrainedTokenizerBase, loaded by itself before any weights are. Raises UsageError."""
        silence()
        from transformers import AutoTokenizer

        try:
            with quietly():
                return AutoTokenizer.from_pretrained(
                    self.files.tokenizer, local_files_only=True, trust_remote_code=False
                )
        except Exception as error:  # whatever is in a file of a stranger, and whatever its class makes of it
            raise self._refused(f"the tokenizer in {self.files.tokenizer}", error) from None

    def _model(self, device: str) -> Any:
        import transformers

        causal = self.head == "causal"
        kind = transformers.AutoModelForCausalLM if causal else transformers.AutoModelForSequenceClassification
        try:
            model, told = kind.from_pretrained(
                self.files.weights,
                dtype=DTYPES[self.settings.dtype],
                quantization_config=self._quantization(),
                device_map={"": device},
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
                **({} if causal else {"num_labels": 1}),
            )
        except Exception as error:
            if out_of_memory(error):
                raise
            raise self._refused(f"weights: {self.files.weights}", error) from None
        if causal and not {"cache", "past_key_values"} & inspect.signature(model.forward).parameters.keys():
            raise UsageError(
                f"{self.name}: weights: {self.files.weights} is a {type(model).__name__}, which takes no cache of what "
                "it has read; serve it yourself and name it with `backend: openai` and `base_url:`"
            )
        brought = HEADS if self.files.adapter and not causal else ()  # the adapter of a reward model brings its head
        lacking = sorted(key for key in told["missing_keys"] if key.split(".")[0] not in brought)
        if lacking:
            raise UsageError(
                f"{self.name}: weights: {self.files.weights} has no {lacking[0]} (a {type(model).__name__} lacks "
                f"{len(lacking)} tensors there)"
            )
        return model

    def _quantization(self) -> Any:
        if self.settings.quantization == "none":
            return None
        import torch
        from transformers import BitsAndBytesConfig

        kept = None if self.head == "causal" else list(HEADS)  # as they are: a reward is a small difference
        if self.settings.quantization == "int8":
            return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=kept)
        own = str(self.files.config.get("dtype") or self.files.config.get("torch_dtype") or "float32")
        computed = own.removeprefix("torch.") if self.settings.dtype == "auto" else DTYPES[self.settings.dtype]
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=getattr(torch, computed, torch.float32),
            llm_int8_skip_modules=kept,
        )

    def _with_adapter(self, base: Any) -> Any:
        from peft import PeftConfig, get_peft_model

        folder = self.files.adapter
        assert folder is not None
        named = read_json(self.name, folder / "adapter_config.json").get("base_model_name_or_path") or "not named in it"
        try:
            tensors_of(folder / ADAPTER)
            config = PeftConfig.from_pretrained(str(folder))
            config.inference_mode = True
            model = get_peft_model(base, config)
            told = model.load_adapter(str(folder), "default")
        except Exception as error:
            if out_of_memory(error):
                raise
            raise UsageError(
                f"{self.name}: adapter: {folder} does not fit on {self.files.weights}; its base is {named} "
                f"({_first_line(error)})"
            ) from None
        if other := [*told.missing_keys, *told.unexpected_keys]:
            raise UsageError(
                f"{self.name}: adapter: {folder} does not fit on {self.files.weights}; its base is {named} "
                f"({len(other)} tensors have no counterpart, such as {other[0]})"
            )
        return model

    def _refused(self, what: str, error: Exception) -> UsageError:
        if "trust_remote_code" in str(error):
            return UsageError(
                f"{self.name}: {what} needs code of its own, which sciexam never runs; serve it yourself and name it "
                "with `backend: openai` and `base_url:`"
            )
        return UsageError(f"{self.name}: {what} cannot be loaded: {_first_line(error)}")


def out_of_memory(error: BaseException) -> bool:
    """Whether a device, or the machine, had no room."""
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in NO_ROOM)


@contextmanager
def quietly() -> Iterator[None]:
    """Without the bars, tables and warnings that loading prints over the progress; its errors are raised."""
    from transformers.utils import logging as told

    level, bars = told.get_verbosity(), told.is_progress_bar_enabled()
    told.set_verbosity_error()
    told.disable_progress_bar()
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        told.set_verbosity(level)
        if bars:
            told.enable_progress_bar()


def _first_line(error: Exception) -> str:
    """What an error says, on one line: its first one that is no heading."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = next((line for line in lines if not line.endswith(":")), type(error).__name__)
    return told if len(told) <= LONGEST else f"{told[:LONGEST]}..."
