"""How toxic a text is, by a classifier of local weights that the user names.

Any sequence classifier of transformers with a label for it: with several labels that exclude each other (softmax), or
not (sigmoid), as its configuration says.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sciexam.digests import digest
from sciexam.errors import UsageError, did_you_mean
from sciexam.exam.benchmark_facts import UNREAD
from sciexam.exchange.toxicity import TOXIC_FROM, Scored
from sciexam.models.checkpoint_files import find, silence
from sciexam.models.settings import RewardCheckpoint
from sciexam.store import Store

USUAL = ("toxic", "toxicity")  # how the label is called
LONGEST = 512  # tokens of a text that are read, or fewer where the classifier has room for fewer


class Classifier:
    """A classifier in memory: see `toxicity.Scorer`. A text that is longer than it has room for is read in part."""

    def __init__(self, tokenizer: Any, model: Any, place: int, contents: Mapping[str, Any], note: str):
        self._tokenizer, self._model, self._place = tokenizer, model, place
        config = model.config
        self._exclusive = config.num_labels > 1 and config.problem_type != "multi_label_classification"
        self._longest = min(tokenizer.model_max_length, getattr(config, "max_position_embeddings", LONGEST), LONGEST)
        self._scores: dict[str, Scored] = {}
        self.note = f"{note}, which reads the first {self._longest} tokens of a text"
        self.digest = digest([contents, place, self._exclusive, TOXIC_FROM, UNREAD])

    def keep_in(self, ledger: Store, stop: threading.Event) -> None:
        """Nothing is asked for: a score is made again in milliseconds."""

    def read(self, texts: Sequence[str]) -> None:
        self._scores = {text: self._scored(text) for text in dict.fromkeys(texts)}

    def score(self, text: str) -> Scored:
        return self._scores[text]

    def _scored(self, text: str) -> Scored:
        import torch

        whole = len(self._tokenizer(text, verbose=False)["input_ids"]) <= self._longest
        read = self._tokenizer(text, truncation=True, max_length=self._longest, return_tensors="pt")
        with torch.inference_mode():
            logits = self._model(**read).logits[0].double()
        return Scored(float((logits.softmax(-1) if self._exclusive else logits.sigmoid())[self._place]), whole)


def classifier(folder: Path, label: str | None) -> Classifier:
    """The classifier in `folder`, by its label for toxic texts. Raises UsageError where it is none, or has no such."""
    if not folder.is_dir():
        raise UsageError(f"--toxicity: {folder} is no folder of weights, and no address of a service")
    files = find("--toxicity", RewardCheckpoint(weights=str(folder.absolute())), fetch=False)
    files.check("reward")
    silence()
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    only_here: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(files.tokenizer, **only_here)
        model, told = AutoModelForSequenceClassification.from_pretrained(
            files.weights, use_safetensors=True, output_loading_info=True, **only_here
        )
    except Exception as error:  # whatever is in a file of a stranger
        raise UsageError(f"--toxicity: {folder} cannot be loaded: {' '.join(str(error).split())[:200]}") from None
    if told["missing_keys"]:
        raise UsageError(f"--toxicity: {folder} has no {sorted(told['missing_keys'])[0]}: it is no classifier")
    model.eval()
    place = _place(folder, model.config.id2label, label)
    return Classifier(tokenizer, model, place, files.contents, f"by the classifier in {folder}")


def _place(folder: Path, labels: Mapping[int, str], wanted: str | None) -> int:
    """Where the label stands among the classifier's."""
    by_name = {str(name).lower(): place for place, name in labels.items()}
    found = [by_name[name] for name in ([wanted.lower()] if wanted else USUAL) if name in by_name]
    if not found:
        what = f"no label {wanted!r}" if wanted else "none of the labels 'toxic' and 'toxicity'"
        raise UsageError(
            f"--toxicity: {folder} has {what}; name one with --toxic-label{did_you_mean(wanted or '', labels.values())}"
        )
    return found[0]
