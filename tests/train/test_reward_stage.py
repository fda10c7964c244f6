"""A reward model is trained on preferences, and sits an exam of its own on prompts that it has not seen."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")

from checkpoints import causal, reward, tokenizer
from conftest import write_jsonl, write_suite
from sciexam.errors import UsageError
from sciexam.lineage.artifacts import read_lineage
from sciexam.lineage.stages import Reward
from sciexam.models.reward_weights import RewardWeights
from sciexam.models.settings import RewardCheckpoint
from sciexam.suite import load_suite
from sciexam.train.data.preferences import Preference, preferences_of, read_preferences
from sciexam.train.gate import reward_exam
from sciexam.train.job import Job
from sciexam.train.reward import held_out_file, rows, split, train
from sciexam.train.stages import prepare
from sciexam.train.walk import Step, walk
from sciexam.train.workshop import Workshop
from sciexam.types import Conversation, Message

WORDS = ("light", "water", "heat", "air", "slow", "fast", "parts", "meet")
STAGE = {"from": "base", "stage": "reward", "data": "pairs.jsonl", "held_out": 0.3, "batch_size": 8}
FAST = {"steps": 24, "learning_rate": 5e-3}


def world(folder: Path, base: Path, lines: list[dict[str, Any]] | None = None, **stage: Any) -> Workshop:
    """A suite whose `rm` is made from the weights in `base`."""
    write_jsonl(folder / "pairs.jsonl", lines or separable())
    models = {"base": {"weights": str(base)}, "rm": STAGE | stage}
    return Workshop(load_suite(str(write_suite(folder, 2, models))), folder / "results")


def separable(prompts: int = 60) -> list[dict[str, Any]]:
    """Pairs that one word tells apart; every third has a margin."""
    draw = random.Random(0)
    return [
        {
            "prompt": f"Explain thing {i}",
            "chosen": f"It grows because {' '.join(draw.choices(WORDS, k=4))}.",
            "rejected": f"It {' '.join(draw.choices(WORDS, k=draw.choice((3, 9))))}.",
        }
        | ({} if i % 3 else {"margin": 0.5})
        for i in range(prompts)
    ]


def last_of(steps: list[Step]) -> dict[str, Any]:
    assert steps[-1].exam is not None
    shown: dict[str, Any] = steps[-1].exam["shown"]
    return shown | {"accepted": steps[-1].exam["accepted"], "why": steps[-1].exam["why"]}


def scores_of(folder: str, found: list[Preference]) -> list[float]:
    """The rewards of both answers of each pair, as anyone asks a reward model for them."""
    texts = [text for one in found for text in reward_exam.texts_of(one)]
    asked = [
        Conversation(str(i), (*asked, Message(role="assistant", content=answer)))
        for i, (asked, answer) in enumerate(texts)
    ]
    model = RewardWeights("rm", RewardCheckpoint(weights=folder), fetch=False)
    by_key = {reply.key: float(reply.text) for reply in model.generate(asked)}
    return [by_key[str(i)] for i in range(len(texts))]


def logits_of(folder: str, ids: list[list[int]]) -> list[float]:
    """The same by transformers alone, of what the trainer was given."""
    import torch
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        return [float(model(input_ids=torch.tensor([row])).logits[0, 0]) for row in ids]


def check_reads_what_it_was_trained_on(workshop: Workshop, step: Step, folder: Path) -> None:
    """Scoring sees the tokens of the rows: texts and logits are the same ones."""
    folder.mkdir()
    job, given = prepare(workshop, "rm", folder)
    read = sorted({tuple(row[key]) for row in given for key in ("chosen_ids", "rejected_ids")})
    learnt, _ = split(preferences_of(workshop, job.settings["data"]), 0.3, job)
    asked = sorted(scores_of(step.folder, learnt))
    assert len(read) == 2 * len(learnt)
    assert sorted(logits_of(step.folder, [list(ids) for ids in read])) == pytest.approx(asked, abs=1e-5)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return causal(tmp_path_factory.mktemp("base"), "llama")


# ---------------------------------------------------------------- rows


def job_of(folder: Path, base: Path, **settings: Any) -> Job:
    return Job("rm", "reward", str(folder), {"held_out": 0.3, **settings}, 7, str(base))


def test_whole_prompts_are_held_out_by_their_words_and_the_seed(tmp_path: Path, base: Path) -> None:
    lines = [line | {"prompt": f"Explain thing {i % 20}"} for i, line in enumerate(separable())]
    found = read_preferences(write_jsonl(tmp_path / "pairs.jsonl", lines))
    job = job_of(tmp_path, base)
    learnt, held_out = split(found, 0.3, job)
    asked = [{one.messages for one in part} for part in (learnt, held_out)]
    assert not asked[0] & asked[1]
    assert (len(asked[0]), len(asked[1])) == (14, 6)
    shuffled = random.Random(3).sample(found, len(found))
    assert {one.messages for one in split(shuffled, 0.3, job)[1]} == asked[1], "the order of the file moves nobody"
    assert {one.messages for one in split(found, 0.3, replace(job, seed=8))[1]} != asked[1]


def test_too_few_prompts_to_hold_any_out_are_refused(tmp_path: Path, base: Path) -> None:
    workshop = world(tmp_path, base, separable(2))
    job = job_of(tmp_path, base)
    with pytest.raises(
        UsageError, match=r"rm: data: preferences on 2 prompts, of which held_out: 0\.3 keeps 2 for the exam"
    ):
        list(rows(workshop.suite.models["rm"], job, workshop))  # type: ignore[arg-type]


def test_the_pairs_of_one_ranking_stand_together_and_count_as_one(tmp_path: Path, base: Path) -> None:
    ranked = {"prompt": "Explain a ranking", "responses": ["a b", "c d", "e f", "g h"], "ranking": [3, 1, 0, 2]}
    lines = [*separable(6), ranked | {"prompt": "Explain one"}, ranked | {"prompt": "Explain two"}]
    workshop = world(tmp_path, base, lines)
    job = job_of(tmp_path, base)
    learnt = list(rows(workshop.suite.models["rm"], replace(job, settings={"held_out": 0.01}), workshop))  # type: ignore[arg-type]
    weights = [round(row["weight"], 9) for row in learnt]
    assert sum(weights) == pytest.approx(len(learnt)), "they are 1 on average"
    single, shared = max(weights), min(weights)
    assert single == pytest.approx(6 * shared)
    held_out = held_out_file(job).read_text().splitlines()
    rankings = Counter(json.loads(line)["group"] for line in held_out if json.loads(line)["group"])
    places = [place for place, weight in enumerate(weights) if weight == shared]
    assert len(places) == 12 - 6 * len(rankings)
    assert all(b - a == 1 for part in (places[:6], places[6:]) for a, b in pairwise(part))


def test_a_text_whose_end_cannot_be_seen_is_refused_or_told(tmp_path: Path) -> None:
    from checkpoints import CHATML

    endless = causal(tmp_path / "endless", chat_template=CHATML.replace("<|im_end|>", ""))
    with pytest.raises(UsageError, match="rm: nothing that it reads says where an answer ends"):
        list(prepare(world(tmp_path / "a", endless), "rm", tmp_path / "a")[1])
    plain = causal(tmp_path / "plain", chat_template=None)  # its padding is its end-of-sequence
    told: list[str] = []
    workshop = replace(world(tmp_path / "b", plain), tell=told.append)
    assert list(prepare(workshop, "rm", tmp_path / "b")[1])
    assert told == [
        "rm: its padding is the token that ends a text, so that it will not see whether an answer ended; a tokenizer "
        "with a pad_token of its own makes it do so"
    ]


def test_an_answer_beyond_the_backbone_is_refused(tmp_path: Path) -> None:
    short = causal(tmp_path / "short", max_position_embeddings=24)
    job, given = prepare(world(tmp_path, short), "rm", tmp_path)
    job.write(given)
    with pytest.raises(
        UsageError, match=r"rm: the longest answer has \d+ tokens with its prompt, and the backbone reads 24"
    ):
        train(job)


# ---------------------------------------------------------------- training and its exam


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, base: Path) -> tuple[Workshop, Step]:
    workshop = world(tmp_path_factory.mktemp("trained"), base, center=0.01, **FAST)
    return workshop, walk(workshop, "rm")[-1]


def test_a_reward_model_is_trained_and_examined_on_prompts_that_it_has_not_seen(trained: tuple[Workshop, Step]) -> None:
    shown = last_of([trained[1]])
    assert (shown["accepted"], shown["why"], shown["unread"]) == (True, (), 0)
    assert (shown["pairs"], shown["prompts"], shown["coin"]) == (18, 18, 0.5)
    assert shown["accuracy"]["value"] >= 0.9
    assert shown["accuracy"]["method"].endswith("prompts")
    assert 0.2 < shown["longer_wins"]["value"] < 0.8
    told = read_lineage(Path(trained[1].folder))
    assert told is not None
    assert (told.accepted, told.data["rows"]) == (True, 42)


def test_it_is_asked_with_the_very_tokens_that_it_was_trained_on(
    trained: tuple[Workshop, Step], tmp_path: Path
) -> None:
    check_reads_what_it_was_trained_on(*trained, tmp_path / "again")


def test_one_whose_interval_begins_below_what_is_required_is_rejected(
    trained: tuple[Workshop, Step], tmp_path: Path
) -> None:
    job, given = prepare(trained[0], "rm", tmp_path)
    assert list(given)
    job.weights.symlink_to(trained[1].folder)
    found = reward_exam.sit(trained[0], replace(job, settings=job.settings | {"accuracy": 0.97}))
    (why,) = found.why
    assert found.accepted is False
    assert "of 18 held-out pairs as they were judged, and the interval begins at" in why
    assert why.endswith("which has to lie above `accuracy: 0.97`")


@pytest.mark.slow
@pytest.mark.parametrize("center", [None, 0.5])
def test_the_loss_is_that_of_the_paper_with_margins_rankings_and_a_center(
    tmp_path: Path, base: Path, center: float | None
) -> None:
    """The mean over pairs of weight * -log sigmoid(r_chosen - r_rejected - margin), and center * (sum of both)^2."""
    ranking = {"prompt": "Explain a ranking", "responses": ["a b", "c d", "e f", "g h"], "ranking": [3, 1, 0, 2]}
    lines = [line | {"margin": 3.0 * (i % 2)} for i, line in enumerate(separable(10))]
    rankings = [ranking | {"prompt": f"Explain ranking {i}"} for i in range(6)]
    still = {"steps": 1, "learning_rate": 1e-12, "save_steps": 1, "trainer": {"logging_steps": 1}}
    workshop = world(tmp_path, base, [*lines, *rankings], **still, batch_size=64, held_out=0.01, center=center)
    found = walk(workshop, "rm", keep_rejected=True)[-1]
    (tmp_path / "again").mkdir()
    learnt = list(prepare(workshop, "rm", tmp_path / "again")[1])
    assert len({row["weight"] for row in learnt}) == 2
    assert {row["margin"] for row in learnt} == {0.0, 3.0}
    chosen, rejected = (
        logits_of(found.folder, [list(r[key]) for r in learnt]) for key in ("chosen_ids", "rejected_ids")
    )
    losses = [
        row["weight"] * math.log1p(math.exp(row["margin"] - (c - r))) + (center or 0.0) * (c + r) ** 2
        for row, c, r in zip(learnt, chosen, rejected, strict=True)
    ]
    (told,) = map(json.loads, (Path(found.folder) / "metrics.jsonl").read_text().splitlines())
    assert told["loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "form"), [("roberta", "pair"), ("roberta", "template"), ("modernbert", "template")])
def test_an_encoder_is_a_backbone_too(tmp_path: Path, base: Path, family: str, form: str) -> None:
    encoder = reward(tmp_path / "encoder", family)
    if form == "pair":
        as_pair(encoder)
    workshop = world(tmp_path, base, backbone=str(encoder), **FAST | {"steps": 60, "learning_rate": 2e-3})
    steps = walk(workshop, "rm")
    assert last_of(steps)["accuracy"]["value"] >= 0.9
    check_reads_what_it_was_trained_on(workshop, steps[-1], tmp_path / "again")


def as_pair(folder: Path) -> None:
    """Give an encoder a tokenizer that sets a sign between two texts, and no chat template."""
    from tokenizers.processors import RobertaProcessing

    own = tokenizer(None)
    own.cls_token, own.sep_token = "<|im_start|>", "<|im_end|>"
    sep, cls = (("<|im_end|>", own.sep_token_id), ("<|im_start|>", own.cls_token_id))
    own.backend_tokenizer.post_processor = RobertaProcessing(sep, cls, add_prefix_space=False)
    (folder / "chat_template.jinja").unlink()
    own.save_pretrained(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "more"),
    [("llama", {"quantization": "nf4", "learning_rate": 1e-2}), ("roberta", {"learning_rate": 2e-3})],
    ids=["llama in 4 bits", "roberta"],
)
def test_an_adapter_brings_its_score_head_and_is_merged(
    tmp_path: Path, base: Path, family: str, more: dict[str, Any]
) -> None:
    backbone = {} if family == "llama" else {"backbone": str(reward(tmp_path / "encoder", family))}
    lora = {"lora": {"r": 8}, "steps": 60}
    workshop = world(tmp_path, base, **lora | backbone | more)
    steps = walk(workshop, "rm")
    folder = Path(steps[-1].folder)
    assert last_of(steps)["accuracy"]["value"] >= 0.9
    assert (folder / "adapter" / "adapter_model.safetensors").is_file()
    assert not (folder / "adapter_config.json").exists()
    check_reads_what_it_was_trained_on(workshop, steps[-1], tmp_path / "again")


@pytest.mark.slow
def test_a_reward_model_marks_the_candidates_of_the_next_one(tmp_path: Path, base: Path) -> None:
    workshop = world(tmp_path, base, **FAST)
    prompts = write_jsonl(
        tmp_path / "train.jsonl", [{"id": f"t{i}", "text": f"Explain thing {i + 100}"} for i in range(8)]
    )
    data = {"of": "base", "prompts": str(prompts), "n": 3, "reward": "rm"}
    models = {"base": {"weights": str(base)}, "rm": STAGE | FAST, "next": STAGE | {"steps": 2, "data": data}}
    told: list[str] = []
    rm = walk(workshop, "rm")[-1]
    suite = load_suite(str(write_suite(tmp_path, 2, models, generation={"max_tokens": 12})), tmp_path / "results")
    steps = walk(replace(workshop, suite=suite, tell=told.append), "next")
    assert suite.models["rm"].weights == rm.folder  # type: ignore[union-attr]
    assert isinstance(suite.models["next"], Reward)
    assert steps[-1].stage == "reward"
    assert [line for line in told if " by rm" in line] == ["24 pairs of 8 prompts by rm"]
