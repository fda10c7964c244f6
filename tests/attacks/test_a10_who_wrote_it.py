"""An annotator or a judge reads names, ids, orders, lengths, times, addresses and answers for who wrote what."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations
from pathlib import Path

import pytest
from scipy.stats import binomtest, chi2_contingency, chisquare, fisher_exact, mannwhitneyu

from conftest import Cli, write_jsonl
from endpoint import Body, Endpoint, answers_of, nonce_of, prompt_of
from forked import Commands
from rows import Tally
from sciexam.annotate.queue import Item, Queue
from sciexam.annotate.said import read_body
from sciexam.digests import digest
from sciexam.types import Message, Prompt
from study import Study
from telling import CONTESTANTS, TELLING, Visitor, exam, number_of, serve, text_of

UNLIKELY = 1e-6  # what a ledger draws from is drawn itself: at a usual level one run in twenty would fail
PROMPTS = 30


@dataclass(frozen=True)
class Seen:
    """What an annotator was shown: whose answers, in the order in which they lie on the page, and their lengths."""

    annotator: int
    address: str
    page: str
    layout: tuple[str, ...]
    lengths: tuple[int, ...]

    @property
    def id(self) -> str:
        return self.address.rpartition("/")[2]


def everything(served: Study, annotators: Sequence[int], form: Mapping[str, str]) -> list[Seen]:
    """Everything that these annotators are shown, who judge in turn, as people do who work beside each other."""
    texts = {number_of(name, i): (name, len(text_of(name, i))) for name in CONTESTANTS for i in range(PROMPTS)}
    visitors = {one: Visitor(served, served.links[f"annotator-{one}"]) for one in annotators}
    coming = {one: visitor.items() for one, visitor in visitors.items()}
    found = []
    while coming:
        for one in list(coming):
            if (item := next(coming[one], None)) is None:
                del coming[one]
                continue
            articles = re.findall(r"<article.*?</article>", item[1], re.DOTALL)
            numbers = [re.findall(r"\[([0-9a-f]{10})\]", article)[0] for article in articles]
            whose = [texts.get(number, ("a check", 0)) for number in numbers]
            found.append(Seen(one, *item, tuple(name for name, _ in whose), tuple(length for _, length in whose)))
            assert visitors[one].post(item[0], {"turn": "0"} | dict(form)).status_code == 303
    return found


# ---------------------------------------------------------------- who wrote it


@pytest.mark.parametrize(
    "task",
    ["pairs", *(pytest.param(one, marks=pytest.mark.slow) for one in ("ranking", "demonstrations", "writing"))],
)
def test_nothing_that_an_annotator_gets_tells_who_wrote_an_answer(
    task: str, tmp_path: Path, commands: Commands, tally: Tally
) -> None:
    """A whole session, with all its pages, answers, redirects and errors; in names, and in what names are hashed to."""
    gold = [{"question": f"What is {i} + 1?", "better": f"It is {i + 1}.", "worse": "No."} for i in range(2)]
    write_jsonl(tmp_path / "okapi-gold.jsonl", gold)
    more = {
        "pairs": ("--gold", "okapi-gold.jsonl", "--repeats", "2"),
        "ranking": ("--task", "ranking"),
        "demonstrations": (CONTESTANTS[0], "--task", "demonstrations"),
        "writing": ("--task", "demonstrations"),
    }[task]
    with serve(commands, tmp_path, CONTESTANTS, 4, "--annotators", "2", "--overlap", "2", *more) as served:
        visitor = Visitor(served, served.links["annotator-1"])
        form = {
            "pairs": {"choice": "left-much", "criterion-0": "left"},
            "ranking": {"choice": "ranking", "rank-0": "3", "rank-1": "1", "rank-2": "2"},
            "demonstrations": {"choice": "edit", "text": "mine"},
            "writing": {"choice": "write", "text": "mine"},
        }[task]
        session(visitor, form)
        [queue] = [path.name for path in served.folder.glob("results/zebra-study/*")]
        hashed = [*CONTESTANTS, "zebra-study", *(f"quagga-{i}" for i in range(4))]
        telling = [*TELLING, queue, "adjudication", "annotator-", *(one for name in hashed for one in hashes(name))]
        assert len(visitor.got) > 30
        for response in visitor.got:
            texts = [str(response.url), *map(str, response.headers.multi_items()), html.unescape(response.text)]
            found = [one for one in telling for text in texts if one in text.lower()]
            assert found == [], (response.request.method, response.url)
        payload = visitor.link.rpartition("/")[2].partition(".")[0]
        assert json.loads(base64.urlsafe_b64decode(payload + "==="))[0] == 1
        tally(len(visitor.got))


def session(visitor: Visitor, form: Mapping[str, str]) -> None:
    """Everything that one can do, right and wrong, and for each item both ways of being told where to go on."""
    for number, (target, _) in enumerate(visitor.items()):
        visitor.post(f"{target}/draft", {"turn": "0", "comment": "so far"})
        visitor.get(target)
        visitor.post(target, {"turn": "0", "choice": "none of these"})
        visitor.post(target, {"turn": "0"} | form, **({"x-sciexam": "1"} if number % 2 else {}))
        visitor.post(target, {"turn": "0", "choice": "cannot"})
        visitor.get(target)
    last = re.search(r'name="last" value="([^"]*)"', visitor.get(f"{visitor.link}/history").text)
    for target in ("/undo", "/pause"):
        visitor.post(visitor.link + target, {"last": last[1] if last else ""})
    for target in ("", "/next", "/pause", "/pause?suggested", "/history", "/item/0", "/nothing"):
        visitor.get(visitor.link + target)


def hashes(name: str) -> Iterator[str]:
    """The beginnings of what a name could have been made of, and its base64."""
    for method in ("md5", "sha1", "sha256", "blake2b"):
        yield hashlib.new(method, name.encode()).hexdigest()[:10]
    yield digest(name)[:10]
    yield f"{zlib.crc32(name.encode()):08x}"
    yield base64.b64encode(name.encode()).decode().rstrip("=")[:-1].lower()


@pytest.mark.slow
def test_a_check_and_a_second_showing_look_like_every_other_pair(tmp_path: Path, commands: Commands) -> None:
    gold = [
        {"question": f"What is known of {i}?", "better": text_of("g", i), "worse": text_of("w", i)} for i in range(3)
    ]
    write_jsonl(tmp_path / "gold.jsonl", gold)
    options = ("--annotators", "1", "--overlap", "1", "--gold", "gold.jsonl", "--repeats", "2")
    with serve(commands, tmp_path, CONTESTANTS[:2], 12, *options) as served:
        seen = everything(served, [1], {"choice": "left-much"})
        queue, _, _ = served.kept()
        kinds = Counter(queue.by_id[one.id].kind for one in seen)
        assert (kinds["gold"], kinds["pair"]) == (3, 12 + 2)
        assert len({skeleton(one.page) for one in seen[1:]}) == 1  # before the first nothing can be taken back
        assert len({len(one.address) for one in seen}) == 1


def skeleton(page: str) -> str:
    """A page without its texts, and without what it says of how many were judged."""
    page = re.sub(r'<div class="prose".*?</div>|<p class="progress">.*?</p>', "", page, flags=re.S)
    return re.sub(r"[0-9a-f]{16}(\.\d+)?|\d+ of \d+", "", page)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory, commands: Commands) -> list[Seen]:
    """What four annotators saw of 30 pairs."""
    with serve(
        commands, tmp_path_factory.mktemp("pairs"), CONTESTANTS[:2], PROMPTS, "--annotators", "4", "--overlap", "4"
    ) as served:
        return everything(served, [1, 2, 3, 4], {"choice": "right-much"})


@pytest.mark.slow
def test_each_contestant_stands_on_either_side_equally_often(pairs: list[Seen]) -> None:
    """Over everything and over each pair exactly, by construction; for each annotator as a coin would have it."""
    assert len(pairs) == 4 * PROMPTS
    left = Counter(one.layout[0] for one in pairs)
    assert left[CONTESTANTS[0]] == left[CONTESTANTS[1]] == 2 * PROMPTS
    by_item: dict[str, list[str]] = defaultdict(list)
    for one in pairs:
        by_item[one.id].append(one.layout[0])
    assert {layouts.count(CONTESTANTS[0]) for layouts in by_item.values()} == {2}
    table = [[sum(one.layout[side] == name for one in pairs) for side in (0, 1)] for name in CONTESTANTS[:2]]
    assert chi2_contingency(table, correction=False).pvalue > 0.99
    for mine in (firsts(pairs, annotator) for annotator in range(1, 5)):
        assert binomtest(sum(mine), PROMPTS).pvalue > UNLIKELY
        changes = sum(one != other for one, other in pairwise(mine))
        assert binomtest(changes, PROMPTS - 1).pvalue > UNLIKELY
    assert abs(sum(firsts(pairs, 1)) - PROMPTS / 2) == abs(sum(firsts(pairs, 2)) - PROMPTS / 2) == 0


def firsts(pairs: list[Seen], annotator: int) -> list[bool]:
    """For each pair that an annotator saw, whether the first contestant stood on the left."""
    return [one.layout[0] == CONTESTANTS[0] for one in pairs if one.annotator == annotator]


@pytest.mark.slow
def test_neither_an_address_nor_a_length_nor_the_time_tells_the_side(pairs: list[Seen]) -> None:
    for annotator in range(1, 5):
        mine, first = [one for one in pairs if one.annotator == annotator], firsts(pairs, annotator)
        assert len({len(one.address) for one in mine}) == 1
        assert len({one.address.rpartition("/")[0] for one in mine}) == 1
        for bit in range(64):
            told = Counter((int(one.id, 16) >> bit & 1, side) for one, side in zip(mine, first, strict=True))
            assert fisher_exact([[told[0, False], told[0, True]], [told[1, False], told[1, True]]]).pvalue > UNLIKELY
        for values in ([int(one.id, 16) for one in mine], range(PROMPTS), [sum(one.lengths) for one in mine]):
            groups = ([v for v, side in zip(values, first, strict=True) if side == wanted] for wanted in (True, False))
            assert mannwhitneyu(*groups).pvalue > UNLIKELY
        assert binomtest(sum(one.lengths[0] > one.lengths[1] for one in mine), PROMPTS).pvalue > UNLIKELY


@pytest.mark.slow
def test_a_ranking_is_laid_out_in_an_order_that_tells_nothing(tmp_path: Path, commands: Commands) -> None:
    """The answers have letters, places and fields by the order on the page, and each order is as likely as another."""
    options = ("--task", "ranking", "--annotators", "2", "--overlap", "2")
    form = {"choice": "ranking", "rank-0": "2", "rank-1": "3", "rank-2": "1"}
    with serve(commands, tmp_path, CONTESTANTS, PROMPTS, *options) as served:
        seen = everything(served, [1, 2], form)
        queue, done, _ = served.kept()
    assert len(seen) == 2 * PROMPTS
    for one in seen:
        page = re.sub(
            r'<div class="prose".*?</div>|<script>.*</script>|<style>.*</style>', "", one.page, flags=re.DOTALL
        )
        assert re.findall(r'<article[^>]* data-slot="(\d)"', page) == ["0", "1", "2"]
        assert re.findall(r'<select name="([^"]*)"', page) == ["rank-0", "rank-1", "rank-2"]
        assert re.findall(r"Place of answer (\w)", page) == ["A", "B", "C"]
        assert sorted(one.layout) == sorted(CONTESTANTS)
    for mine in ([one for one in seen if one.annotator in some] for some in ({1}, {2}, {1, 2})):
        for place in range(3):
            counts = Counter(one.layout[place] for one in mine)
            assert chisquare([counts[name] for name in CONTESTANTS]).pvalue > UNLIKELY
        orders = Counter(one.layout for one in mine)
        assert chisquare([orders[order] for order in permutations(CONTESTANTS)]).pvalue > UNLIKELY
    said = {(one.annotator, one.item): read_body(one.choice, one.body).ranking for one in done}
    for one in seen:  # the third on the page was said to be the best, and the first to be the second
        best, second, _ = (queue.by_id[one.id].by[slot] for slot in said[one.annotator, one.id])
        assert (best, second) == (one.layout[2], one.layout[0])


@pytest.mark.slow
def test_who_knows_the_code_and_the_seed_cannot_work_out_the_sides(pairs: list[Seen]) -> None:
    """An annotator who reads the source, guesses that the seed is 0, and takes the ids from the addresses."""
    mine = [one for one in pairs if one.annotator == 1]
    prompt = Prompt(id="", messages=(Message(role="user", content=""),))
    items = tuple(Item(id=one.id, kind="pair", prompt=prompt, texts=("", ""), by=("a", "b")) for one in mine)
    guessed = Queue.model_construct(**dict.fromkeys(Queue.model_fields, "") | {"seed": 0, "items": items})
    right = sum((guessed.layouts[one.id] == (0, 1)) == side for one, side in zip(mine, firsts(pairs, 1), strict=True))
    assert binomtest(right, PROMPTS).pvalue > UNLIKELY


def telling_text_of(name: str, prompt: int) -> str:
    told = ("As GPT-4, I say so.", "I was trained by Anthropic.", "As an AI language model, no.")
    return told[prompt] if name == CONTESTANTS[0] and prompt < len(told) else text_of(name, prompt)


@pytest.mark.slow
def test_answers_that_name_a_model_are_counted(tmp_path: Path, commands: Commands) -> None:
    with serve(commands, tmp_path, CONTESTANTS[:2], 6, "--annotators", "2", texts=telling_text_of) as served:
        assert "3 of 12 answers (25%) name a model, and may tell who wrote them." in served.output
        assert "3 of 12 answers (25%) name a model." in served.run("annotate", "status").stdout


# ---------------------------------------------------------------- who judges


def test_nothing_that_a_judge_is_sent_tells_who_wrote_an_answer(sciexam: Cli, tmp_path: Path, tally: Tally) -> None:
    """The whole request: its body, its headers and its address; in names, and in what names are hashed to."""
    sent: list[str] = []

    def reply(body: Body) -> str:
        sent.append(json.dumps(body, ensure_ascii=False).lower())
        return f"VERDICT {nonce_of(prompt_of(body))}: A=B"

    with Endpoint(reply=reply) as endpoint:
        judge = {"backend": "openai", "model": "m", "base_url": endpoint.url, "api_key_env": None}
        exam(tmp_path, CONTESTANTS[:2], PROMPTS, text_of, judges={"llm": judge}, judge="llm")
        done = sciexam("compare", "-s", "exam.yaml")
        sent += [json.dumps(dict(headers)).lower() for headers in endpoint.headers]
    assert done.returncode == 0, done.stderr
    assert len(sent) == 4 * PROMPTS
    secret = [one for one in TELLING if one != "pangolin"]  # a reference is for the judge
    names = [*CONTESTANTS, "zebra-study", *(f"quagga-{i}" for i in range(PROMPTS))]
    secret += ["pangolin metadata", *(one for name in names for one in hashes(name))]
    assert [one for one in secret for text in sent if one in text] == []
    tally(len(sent))


def test_a_judge_of_one_order_sees_each_contestant_first_as_a_coin_would_have_it(sciexam: Cli, tmp_path: Path) -> None:
    first: Counter[str] = Counter()
    texts = {number_of(name, i): name for name in CONTESTANTS[:2] for i in range(200)}

    def reply(body: Body) -> str:
        shown, _ = answers_of(prompt_of(body))
        first[texts[re.findall(r"\[([0-9a-f]{10})\]", shown)[0]]] += 1
        return f"VERDICT {nonce_of(prompt_of(body))}: A=B"

    with Endpoint(reply=reply) as endpoint:
        judge = {"backend": "openai", "model": "m", "base_url": endpoint.url, "api_key_env": None}
        exam(tmp_path, CONTESTANTS[:2], 200, text_of, judges={"llm": judge}, judge="llm")
        done = sciexam("compare", "-s", "exam.yaml", "--orders", "one")
    assert done.returncode == 0, done.stderr
    assert first.total() == 200
    assert binomtest(first[CONTESTANTS[0]], 200).pvalue > UNLIKELY
