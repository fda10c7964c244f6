"""The server of `sciexam serve` over two models that need no weights: what they say is a rule, all else is real.

    python speaker.py FOLDER [--at-once N] [--waiting N] [--delay SECONDS] [--token T] [--system S] [--alone]

It prints its port. Both say what follows `say: `; to `payload N` that payload; to `count N` N words; `base` and `sft`
begin everything else differently. To `weather`, what is drawn by the seed.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1])]

from payloads import PAYLOADS  # noqa: E402
from sciexam.errors import UsageError  # noqa: E402
from sciexam.models.streaming import Sampling, Token  # noqa: E402
from sciexam.serve.admission import Admission  # noqa: E402
from sciexam.serve.api import Api  # noqa: E402
from sciexam.serve.chat import Chat  # noqa: E402
from sciexam.serve.contestant import Pair  # noqa: E402
from sciexam.serve.local import LocalEngine  # noqa: E402
from sciexam.serve.served import Served  # noqa: E402
from sciexam.serve.serving import Ledger, application  # noqa: E402
from sciexam.serve.turns import Turns  # noqa: E402
from sciexam.types import Generation, Message  # noqa: E402
from sciexam.web.serving import listening, origins_of, run  # noqa: E402

BEGINS = {"base": "Because of", "sft": "It follows from"}
CONTEXT = 5_000  # tokens
END = "<end>"


class Speaker:
    """A StreamingModel that says what a rule gives, a word a token. `log` gets a line for each answer given up."""

    stops: tuple[str, ...] = ()
    is_plain = False

    def __init__(self, name: str, delay: float, log: Path):
        self._name, self._delay, self._log = name, delay, log

    def encode(self, asked: Sequence[Message] | str) -> list[int]:
        text = asked if isinstance(asked, str) else "\n".join(f"{one.role}: {one.content}" for one in asked)
        return [ord(character) for character in text]

    def stream(self, tokens: Sequence[int], sampling: Sampling) -> Iterator[Token]:
        if len(tokens) >= CONTEXT:
            raise UsageError(f"too long: the prompt has {len(tokens)} tokens")
        return self._said("".join(map(chr, tokens)), sampling)

    def _said(self, text: str, sampling: Sampling) -> Iterator[Token]:
        try:
            for word in [*re.findall(r"\s*\S+\s*?|\s+$", self._say(text, sampling)), END][: sampling.max_tokens]:
                time.sleep(self._delay)
                top = ((word, -0.25), ("other", -2.0), ("third", -3.0))[: sampling.top_logprobs or 0]
                yield Token("" if word == END else word, word, -0.25, top, ends=word == END)
        except GeneratorExit:
            with self._log.open("a", encoding="utf-8") as file:
                file.write(f"{self._name} was given up\n")
            raise

    def _say(self, text: str, sampling: Sampling) -> str:
        last = text.rpartition("user: ")[2]
        if last.startswith("fail"):
            raise RuntimeError(last)
        if last.startswith("system"):
            return text.partition("\n")[0]
        if last.startswith("say: "):
            return last.removeprefix("say: ")
        if found := re.match(r"payload (\d+)", last):
            return f"{PAYLOADS[int(found[1])]} {self._name[0]}"
        if found := re.match(r"count (\d+)", last):
            return " ".join(map(str, range(int(found[1]))))
        if last.startswith("weather") and sampling.temperature:
            return random.Random(sampling.seed).choice(["sun", "rain", "snow", "hail", "fog", "wind"])
        return f"{BEGINS[self._name]} {last}, I think."


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--waiting", type=int, default=32)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--token")
    parser.add_argument("--system")
    parser.add_argument("--alone", action="store_true")
    given = parser.parse_args()
    usual = Generation(max_tokens=64)
    turns, ledger = Turns(given.at_once, given.waiting), Ledger(str(given.folder / "ledger.sqlite"))
    pair = Pair("sft", None if given.alone else "base", "The suite names no parent of sft" if given.alone else "")
    served = {}
    for name in pair.names:
        engine = LocalEngine(name, Speaker(name, given.delay, given.folder / "given-up.txt"), f"{name:0<12}", turns)
        served[name] = Served(name, engine, usual, given.system)
    api = Api(served, Admission(given.token), 2_000)
    with listening("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        chat = Chat("exam", pair, served, ledger.keep, ledger.forget, 2_000)
        print(port, flush=True)
        try:
            run(application(api, chat, origins_of(f"http://127.0.0.1:{port}", bound)), bound, turns.stop)
        finally:
            turns.close()
            ledger.close()


if __name__ == "__main__":
    main()
