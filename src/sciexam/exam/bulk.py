"""Bulk generation: what one model answers to many prompts, asked for what is owed and written to a file."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from sciexam.battles import Slot
from sciexam.errors import UsageError, did_you_mean
from sciexam.exam.answer_file import Format, check_alpacaeval, check_replaceable, each_text_once, items_of, joined
from sciexam.exam.answers import responses_of
from sciexam.exam.asking import owes
from sciexam.exam.plan import Plan, conversations_of, make_plan
from sciexam.exam.preflight import Experience, Owed, bill_of, tell
from sciexam.exam.recordings import is_recorded
from sciexam.exam.runs import check_all_ready, hold, location_of, opened, terms_of
from sciexam.exam.sitting import Sitting
from sciexam.exam.tally import Progress
from sciexam.files import write_atomically
from sciexam.lineage.specs import ModelSpec
from sciexam.models.checkpoint_files import read_json
from sciexam.models.settings import Endpoint, Scripted, Weights, model_of_endpoint
from sciexam.models.terms import Engine, Terms
from sciexam.prompts import read_prompts
from sciexam.report.calls import Calls
from sciexam.store import Store
from sciexam.suite import Suite, load_suite, suite_of_prompts
from sciexam.types import HUMANS, Model, Prompt, Response

CHUNK = 500  # prompts whose answers are in memory at once
TELLING = 200  # answers in the ledger that tell how long those to come will be


@dataclass(frozen=True, slots=True)
class Answered:
    """What `answer` wrote of what was planned. `missing` counts the others by status and reason.

    `cut_off`: of those that were written, how many ended at the limit of tokens. `failed`: whether the same command
    asks again for anything that is missing. `unasked`: why it was not asked for, where it was not.
    """

    model: str
    prompts: int
    samples: int
    written: int
    cut_off: int
    missing: dict[str, int]
    failed: bool
    unasked: str
    out: str
    calls: Calls
    caveats: tuple[str, ...]

    @property
    def planned(self) -> int:
        return self.prompts * self.samples

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"planned": self.planned}


def answer(
    suite: Suite | str | None,
    model: str,
    *,
    out: str | Path,
    prompts: str | Path | None = None,
    samples: int | None = None,
    limit: int | None = None,
    format: Format = "jsonl",
    budget: float | None = None,
    batch: bool = False,
    engine: Engine = "local",
    retry_invalid: bool = False,
    max_wait: float = 120.0,
    store: str | Path | None = None,
    results: str | Path = "results",
    stop: threading.Event | None = None,
    preflight: Callable[[Owed], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Answered:
    """Write the answers of `model` to the file `out`, asking for those that the ledger lacks.

    `model` is one of `suite`, or else `openai:MODEL` or a folder of weights or of an adapter. `prompts` is a file of
    prompts in the place of the suite's. What is asked here is not asked again by `compare`, nor the other way round.
    `out` is replaced as a whole, and holds usable answers only, in the order of the prompts; where there is none it is
    left alone. `format` is that of a suite's `responses:`, or AlpacaEval's list of outputs. The rest as in `compare`.
    """
    chosen, name = chosen_model(suite, model, None if prompts is None else Path(prompts), samples, results)
    chosen = chosen.model_copy(update={"judges": {}})  # nobody judges here, also where a judge is called `humans`
    terms = terms_of(chosen, max_wait, budget, batch, engine)
    plan, models = make_plan(chosen, [name], [HUMANS], None, "mean", None, "category", limit, terms, purpose="answer")
    out = Path(out).resolve()
    check_replaceable(out, location_of(store, results))
    if format == "alpacaeval":
        check_alpacaeval(plan.prompts, plan.samples)
        plan = replace(plan, prompts=each_text_once(plan.prompts))
    with opened(store, results, terms) as ledger:
        calls, notes = ask(plan, models, ledger, terms, retry_invalid, stop, preflight, progress)
        return _write(plan, ledger, out, format, calls, notes)


def chosen_model(
    suite: Suite | str | None, model: str, prompts: Path | None, samples: int | None, results: str | Path = "results"
) -> tuple[Suite, str]:
    """The suite with `model` in it and the prompts that are meant, and the name of the model there.

    Without a suite, prompts of a file and a model that is named by what it is are all that it takes.
    """
    read = None if prompts is None else read_prompts(prompts)
    if suite is None and read is not None and (spec := _by_what_it_is(model)):
        chosen = suite_of_prompts(read)
    else:
        chosen = load_suite(suite, results) if not isinstance(suite, Suite) else suite
        chosen = chosen if read is None else chosen.model_copy(update={"prompts": read})
        spec = None if model in chosen.models else _by_what_it_is(model)
    name = model
    if spec is not None:
        name = Path(model).resolve().name if isinstance(spec, Weights) else model
        if name in chosen.models:
            raise UsageError(f"{name!r} is a model of the suite and the name of a folder; rename the folder")
        chosen = chosen.with_models({name: spec})
    if name not in chosen.models:
        raise UsageError(
            f"{name!r} is no model of suite {chosen.name!r}, and neither openai:MODEL nor a folder of weights"
            f"{did_you_mean(name, chosen.models)}"
        )
    return (chosen if samples is None else chosen.with_samples(samples)), name


def _by_what_it_is(model: str) -> ModelSpec | None:
    """A model that is named by its endpoint's name or its folder; None for one that a suite has to know."""
    if named := model_of_endpoint(model):
        return Endpoint(backend="openai", model=named)
    folder = Path(model).resolve()
    if (folder / "adapter_config.json").is_file():
        base = read_json(model, folder / "adapter_config.json").get("base_model_name_or_path")
        if base:
            return Weights(weights=str(base), adapter=str(folder))
    return Weights(weights=str(folder)) if folder.is_dir() else None


# ---------------------------------------------------------------- asking


def ask(
    plan: Plan,
    models: dict[str, Model],
    ledger: Store,
    terms: Terms,
    retry_invalid: bool,
    stop: threading.Event | None,
    preflight: Callable[[Owed], None] | None,
    progress: Callable[[Progress], None] | None,
) -> tuple[Calls, tuple[str, ...]]:
    """Ask the one contestant of a plan for all that it owes. Only the prompts that it is owed for are held meanwhile.

    Returns the calls that this made, and what is to be said of them.
    """
    there, stored, pilot = _sorted_out(plan, ledger, retry_invalid)
    owing = replace(plan, prompts=tuple(prompt for prompt in plan.prompts if prompt.id not in there))
    check_all_ready(owing, models, ledger, retry_invalid)
    tell(preflight, partial(bill_of, owing, ledger, retry_invalid, experience=Experience(pilot, {})))
    sitting = Sitting(
        owing, ledger, stop or threading.Event(), progress, retry_invalid, terms=terms, before=(stored, 0)
    )
    hold(sitting, plan, models, ledger)
    (name,) = plan.contestants
    asked = not is_recorded(plan.suite, name) and not isinstance(plan.suite.models[name], Scripted)
    calls = replace(sitting.calls, reused=sitting.calls.reused + stored) if asked else sitting.calls
    return calls, tuple(note for note in sitting.notes if note != terms.unasked)


def _sorted_out(plan: Plan, ledger: Store, retry_invalid: bool) -> tuple[set[str], int, dict[Slot, Response]]:
    """The ids of the prompts that nothing is owed for, how many answers they have, and some of these answers."""
    (name,) = plan.contestants
    there: set[str] = set()
    pilot: dict[Slot, Response] = {}
    answers = 0
    for chunk in chunks_of(plan):
        asked = dict(conversations_of(chunk, name))
        found = ledger.replies({conversation.key for conversation in asked.values()})
        owed = {slot[1] for slot, one in asked.items() if owes(found.get(one.key), retry_invalid)}
        for slot, conversation in asked.items():
            if slot[1] in owed:
                continue
            there.add(slot[1])
            answers += 1
            reply = found[conversation.key]
            if len(pilot) < TELLING and reply.status == "ok":
                pilot[slot] = Response(*slot, reply)
    return there, answers, pilot


def chunks_of(plan: Plan) -> Iterator[Plan]:
    """The plan in parts of so many prompts that their answers can be in memory at once."""
    size = max(1, CHUNK // plan.samples)
    for start in range(0, len(plan.prompts), size):
        yield replace(plan, prompts=plan.prompts[start : start + size])


# ---------------------------------------------------------------- writing


def _write(plan: Plan, ledger: Store, out: Path, format: Format, calls: Calls, notes: Sequence[str]) -> Answered:
    (name,) = plan.contestants
    missing: Counter[str] = Counter()
    kinds: Counter[str] = Counter()

    def usable() -> Iterator[tuple[Prompt, Response]]:
        for chunk in chunks_of(plan):
            prompts = {prompt.id: prompt for prompt in chunk.prompts}
            for response in responses_of(chunk, ledger).values():
                reply = response.reply
                if reply.status == "ok":
                    kinds.update(["written", *(["cut off"] if reply.finish_reason == "length" else [])])
                    yield prompts[response.prompt], response
                else:
                    kinds.update([reply.status])
                    missing.update([f"{reply.status}: {reply.failure}"])

    items = items_of(usable(), format)
    if (first := next(items, None)) is not None:
        try:
            write_atomically(out, joined(chain([first], items), format))
        except OSError as error:
            raise UsageError(
                f"{out}: cannot be written: {(error.strerror or str(error)).lower()}; the answers are in the ledger: "
                "the same command with another --out writes them without asking"
            ) from None
    unasked = calls.unasked
    if kinds["skipped"] and is_recorded(plan.suite, name):
        unasked = f"{name} is a file of answers, and has none to {kinds['skipped']:,} of the prompts"
    return Answered(
        model=name,
        prompts=len(plan.prompts),
        samples=plan.samples,
        written=kinds["written"],
        cut_off=kinds["cut off"],
        missing=dict(missing.most_common()),
        failed=kinds["failed"] + kinds["skipped"] > 0,
        unasked=unasked,
        out=str(out),
        calls=calls,
        caveats=(*plan.caveats, *notes),
    )
