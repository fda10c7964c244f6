"""An adapter merged into the weights that it was trained on, as whole weights in a folder of their own.

The weights are read unquantised for it, whatever the suite says: merging into 4 bits rounds the adapter away with the
rest. Who asks for fewer bits quantises what comes of it.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from sciexam.digests import digest
from sciexam.models.checkpoint import LocalCheckpoint, free_memory
from sciexam.models.checkpoint_files import Head
from sciexam.models.settings import Weights

NOT_THE_TOKENIZERS = ("config.json", "generation_config.json", "adapter_config.json")
OF_A_TOKENIZER = (".json", ".jinja", ".txt", ".model")


def merged(name: str, settings: Weights, folder: Path, head: Head = "causal") -> Weights:
    """The settings of the same model without an adapter: its weights lie in `folder`, made there if they do not yet.

    Raises UsageError where the weights or the adapter cannot be loaded.
    """
    if settings.adapter is None:
        return settings
    unquantised = settings.model_copy(update={"quantization": "none"})
    checkpoint = LocalCheckpoint(name, unquantised, head, "cpu")
    whole = folder / digest(checkpoint.contents)[:16]
    if not whole.is_dir():
        print(f"sciexam: merging the adapter of {name} into its weights, once, as {whole}", file=sys.stderr)
        checkpoint.check_ready()
        folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder))
        try:
            _write(checkpoint, draft)
            draft.rename(whole)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return settings.model_copy(update={"weights": str(whole), "adapter": None, "revision": None})


def _write(checkpoint: LocalCheckpoint, folder: Path) -> None:
    from transformers.utils import logging

    logging.disable_progress_bar()  # it would be printed over what the server says
    with checkpoint.use() as loaded:
        loaded.model.merge_and_unload(safe_merge=True).save_pretrained(folder, safe_serialization=True)
    for path in checkpoint.files.tokenizer.iterdir():
        if path.suffix in OF_A_TOKENIZER and path.name not in NOT_THE_TOKENIZERS and ".safetensors" not in path.name:
            shutil.copy2(path, folder / path.name)
    free_memory()
