"""How fast local weights write, one by one and 32 at once.

    python benchmarks/local.py                          # prints Markdown: a Llama of two million parameters, made here
    python benchmarks/local.py --weights ./my-sft       # weights of yours, on the device that `sciexam` would choose

Loading and the first batch are not counted. Set OMP_NUM_THREADS as you would for `sciexam`.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

PROMPTS, NEW = 64, 64
SIZES = {"hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 4}


def measured(weights: str, at_once: int) -> tuple[float, int]:
    """Tokens a second, and how many were written."""
    from sciexam.models.huggingface import HuggingFaceModel
    from sciexam.models.settings import Weights
    from sciexam.types import Conversation, Generation, Message

    asked = [
        Conversation(f"{i}", (Message(role="user", content=f"Why is the sky blue, and not {i}?"),))
        for i in range(PROMPTS)
    ]
    longest = 64 + NEW
    settings = Weights(weights=weights, batch_tokens=at_once * longest)
    model = HuggingFaceModel("local", settings, Generation(max_tokens=NEW))
    list(model.generate(asked[:at_once]))
    begun = time.monotonic()
    written = sum(reply.output_tokens or 0 for reply in model.generate(asked))
    return written / (time.monotonic() - begun), written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", help="a folder or a hub's id")
    weights = parser.parse_args().weights
    import torch

    with tempfile.TemporaryDirectory() as folder:
        if weights is None:
            import checkpoints

            weights = str(checkpoints.causal(Path(folder) / "llama", "llama", **SIZES))
        print(f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} thread(s)\n")
        print("| at once | tokens | tokens a second |\n|---:|---:|---:|")
        for at_once in (1, 8, 32):
            speed, written = measured(weights, at_once)
            print(f"| {at_once} | {written:,} | {speed:,.0f} |")


if __name__ == "__main__":
    main()
