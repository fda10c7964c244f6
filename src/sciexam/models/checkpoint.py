"""Weights of one's own: found at once, loaded when they are first used, and one at a time at work on a device.

`LocalCheckpoint` is what asks for them. It opens without torch, so that what was asked before can be read:

    weights = LocalCheckpoint(name, settings, "causal", settings.device)    # or "reward"
    weights.contents         # digests of all files that a result can depend on, for a key
    weights.check_ready()    # raises UsageError for what is missing or broken, before anything is loaded
    weights.tokenizer
    with weights.use() as loaded:
        loaded.model, loaded.tokenizer, loaded.device

Whoever is in `use()` has the device to itself until the block ends: yield to nobody in it. Where there is no room for
weights, others at rest on that device leave it, and are loaded again when they are used.
"""

from __future__ import annotations

import gc
import importlib.util
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

from sciexam.digests import digest
from sciexam.errors import UsageError
from sciexam.models.checkpoint_files import Head, find, silence
from sciexam.models.checkpoint_loading import Loaded, Loading, out_of_memory
from sciexam.models.settings import Checkpoint

NEEDED = ("torch", "transformers", "accelerate")
LOOK_SECONDS = 0.2  # between two looks at whether a turn is still wanted


class LocalCheckpoint:
    """The weights that `settings` name, for the model or judge called `name`, with a head for text or for a score.

    `device` is torch's word ("cpu", "cuda", "cuda:1", "mps"); None: the first accelerator there is, else the processor.
    `fetch`: whether files may be fetched from a hub. Raises UsageError where they are not to be found.
    """

    def __init__(self, name: str, settings: Checkpoint, head: Head, device: str | None = None, fetch: bool = True):
        self.name, self.settings, self.head = name, settings, head
        self.files = find(name, settings, fetch)
        self._loading = Loading(settings, self.files, head)
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

    @property
    def tokenizer(self) -> Any:
        """A transformers.PreTrainedTokenizerBase, loaded by itself before any weights are. Raises UsageError."""
        return self._loading.tokenizer

    def _read(self, device: str) -> Loaded:
        return self._loading.read(device)


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


def free_memory() -> None:
    """Give back to a device what nothing refers to."""
    import torch

    gc.collect()
    if torch.accelerator.is_available():
        torch.accelerator.empty_cache()
