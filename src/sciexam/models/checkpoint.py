"""Weights of one's own: found at once, loaded when they are first used, and one at a time at work on a device.

`LocalCheckpoint` is what asks for them. It opens without torch, so that what was asked before can be read:

    weights = LocalCheckpoint(name, settings, "causal", settings.device)    # or "reward"
    weights.contents         # digests of all files that a result can depend on, for a key
    weights.check_ready()    # raises UsageError for what is missing or broken, before anything is loaded
    weights.tokenizer
    with weights.use() as loaded:
        loaded.model, loaded.tokenizer, loaded.device

Whoever is in `use()` has the device to itself until the block ends: yield to nobody in it. Where weights find no room
in the memory, others at rest on that device leave it, and are loaded again when they are used. Only safetensors are
read, code that comes with a checkpoint is never run, and nothing is fetched while loading.
"""

from __future__ import annotations

import gc
import importlib.util
import inspect
import logging
import threading
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakSet

from sciexam.digests import digest
from sciexam.errors import UsageError
from sciexam.models.checkpoint_files import ADAPTER, Head, find, read_json, silence, tensors_of
from sciexam.models.settings import Checkpoint

NEEDED = ("torch", "transformers", "accelerate")
LOOK_SECONDS = 0.2  # between two looks at whether a turn is still wanted
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


class LocalCheckpoint:
    """The weights that `settings` name, for the model or judge called `name`, with a head for text or for a score.

    `device` is torch's word ("cpu", "cuda", "cuda:1", "mps"); None: the first accelerator there is, else the processor.
    `fetch`: whether files may be fetched from a hub. Raises UsageError where they are not to be found.
    """

    def __init__(self, name: str, settings: Checkpoint, head: Head, device: str | None = None, fetch: bool = True):
        self.name, self.settings, self.head = name, settings, head
        self.files = find(name, settings, fetch)
        self._device = device
        self._loaded: Loaded | None = None

    @property
    def contents(self) -> dict[str, Any]:
        """What a result can depend on: every file by its digest, and how they are loaded; not where they lie."""
        how = {"quantization": self.settings.quantization, "dtype": self.settings.dtype}
        return {**self.files.contents, **how}

    def check_ready(self) -> None:
        """Raise UsageError where the weights cannot be loaded here: files, packages or the device are missing."""
        self.files.check(self.head)
        self._check_packages()
        self._check_device()

    def _check_packages(self) -> None:
        missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
        if self.settings.adapter and importlib.util.find_spec("peft") is None:
            missing.append("peft")
        if missing:
            raise UsageError(f"{self.name}: local weights need {missing[0]}: pip install 'sciexam[local]'")
        if self.settings.quantization != "none" and importlib.util.find_spec("bitsandbytes") is None:
            raise UsageError(
                f"{self.name}: quantization: {self.settings.quantization} needs bitsandbytes: "
                "pip install 'sciexam[quant]', or write `quantization: none`"
            )

    def _check_device(self) -> None:
        silence()
        import torch

        if self._device is None:
            return
        try:
            wanted = torch.device(self._device)
        except RuntimeError:
            what = f"device: {self._device!r} is none of torch's; write cpu, cuda or cuda:1"
            raise UsageError(f"{self.name}: {what}") from None
        if wanted.type == "cpu":
            return
        there = torch.accelerator.current_accelerator(check_available=True)
        if there is None or there.type != wanted.type:
            raise UsageError(
                f"{self.name}: device: {self._device}: torch sees no {wanted.type} here"
                f"{f', but {there.type}' if there else ''}; leave `device` out, or look at nvidia-smi and at which "
                f"build of torch is installed ({torch.__version__})"
            )
        if wanted.index is not None and wanted.index >= (count := torch.accelerator.device_count()):
            raise UsageError(f"{self.name}: device: {self._device}: there are {count}, from {wanted.type}:0")

    @property
    def device(self) -> str:
        """Where it is asked, in one word for each device: `cuda` and `cuda:0` are the same one."""
        silence()
        import torch

        there = torch.accelerator.current_accelerator(check_available=True)
        named = torch.device(self._device) if self._device is not None else there or torch.device("cpu")
        if named.type in ("cpu", "mps"):  # of which there is one
            return str(named.type)
        return str(named) if named.index is not None else f"{named.type}:{torch.accelerator.current_device_index()}"

    @contextmanager
    def use(self, is_stopped: Callable[[], bool] = lambda: False) -> Iterator[Loaded]:
        """The model, loaded by now, with the device to itself.

        Raises UsageError where it cannot be loaded, and Stopped once `is_stopped` says, while others are at work, that
        it is not wanted any more.
        """
        device = self.device
        with _turn_on(device, is_stopped):
            _resident.add(self)
            if self._loaded is None:
                self._loaded = self._of_others(device) or self._load(device)
            yield self._loaded

    def make_room(self) -> bool:
        """Take all other weights off this device, for one who has its turn; whether there were any."""
        others = [one for one in tuple(_resident) if one is not self and one._loaded and one.device == self.device]
        others = [one for one in others if one._loaded is not self._loaded]
        for one in others:
            one._loaded = None
        free_memory()
        return bool(others)

    def _of_others(self, device: str) -> Loaded | None:
        """The same weights where another has them in memory already: a contestant may be a judge as well."""
        same = (one for one in tuple(_resident) if one._loaded and one._identity == self._identity)
        return next((one._loaded for one in same if one._loaded and one._loaded.device == device), None)

    @property
    def _identity(self) -> str:
        return digest([self.head, self.contents])

    def _load(self, device: str) -> Loaded:
        for attempt in ("beside others", "alone"):
            try:
                return self._read(device)
            except Exception as error:
                if not out_of_memory(error):
                    raise
            if attempt == "beside others" and not self.make_room():
                break
        raise UsageError(
            f"{self.name}: its weights do not fit into the memory of {device}; write `quantization: nf4`, or name a "
            "device with more memory"
        )

    def _read(self, device: str) -> Loaded:
        silence()
        with _quietly():
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
            with _quietly():
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


class Stopped(Exception):
    """The weights were not wanted any more before it was their turn."""


_turns: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)
_resident: WeakSet[LocalCheckpoint] = WeakSet()


@contextmanager
def _turn_on(device: str, is_stopped: Callable[[], bool]) -> Iterator[None]:
    turn = _turns[device]
    while not turn.acquire(timeout=LOOK_SECONDS):
        if is_stopped():
            raise Stopped
    try:
        if is_stopped():
            raise Stopped
        yield
    finally:
        turn.release()


def out_of_memory(error: BaseException) -> bool:
    """Whether a device, or the machine, had no room."""
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in NO_ROOM)


def free_memory() -> None:
    """Give back to a device what nothing refers to."""
    import torch

    gc.collect()
    if torch.accelerator.is_available():
        torch.accelerator.empty_cache()


@contextmanager
def _quietly() -> Iterator[None]:
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
