"""Blind means blind: no page tells an annotator who wrote an answer, and nothing passed on tells who annotated."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import random
import re
import sqlite3
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from scipy.stats import binomtest, chi2_contingency, chisquare, fisher_exact, mannwhitneyu

from annotate_queue import queue_of
from conftest import write_jsonl
from sciexam.annotate.desk import Desk
from sciexam.annotate.export import EXPORTS
from sciexam.annotate.links import until
from sciexam.annotate.queue import Item, Queue
from sciexam.annotate.said import read_body
from sciexam.digests import digest
from sciexam.store import Store
from sciexam.store.annotators import FORGOTTEN
from sciexam.types import Message, Prompt
from study import Study

pytestmark = pytest.mark.slow

UNLIKELY = 1e-6  # what a ledger draws from is drawn itself: at a usual level one run in twenty would fail
PROMPTS = 30

CONTESTANTS = ("zebra-base", "zebra-sft", "zebra-dpo")
# By whole words these stand in no text that is shown, and in none of ours.
TELLING = ("zebra", "okapi", "quagga", "numbat", "pangolin", "wombat")


# ---------------------------------------------------------------- what is served, and what comes back


@contextmanager
def serve(
    folder: Path,
    contestants: Sequence[str],
    prompts: int,
    *options: str,
    texts: Callable[[str, int], str] | None = None,
) -> Iterator[Study]:
    """A study whose suite, files, prompts and contestants have telling names, and whose texts have none."""
    rows = [
        {
            "id": f"quagga-{i}",
            "text": f"What is known of thing {i}?",
            "category": f"numbat-{i % 2}",
            "group": f"wombat-{i % 3}",
            "reference": "pangolin reference",
            "source": "pangolin metadata",
        }
        for i in range(prompts)
    ]
    write_jsonl(folder / "okapi-prompts.jsonl", rows)
    for name in contestants:
        lines = [{"prompt": f"quagga-{i}", "text": (texts or text_of)(name, i)} for i in range(prompts)]
        write_jsonl(folder / f"okapi-of-{name}.jsonl", lines)
    models = {name: {"responses": f"okapi-of-{name}.jsonl"} for name in contestants}
    suite = {"suite": "zebra-study", "prompts": "okapi-prompts.jsonl", "models": models, "contestants": [*contestants]}
    (folder / "exam.yaml").write_text(json.dumps(suite), encoding="utf-8")
    made = Study(folder, [*options, "--suite", "exam.yaml"])
    try:
        yield made.start()
    finally:
        made.stop()


def text_of(name: str, prompt: int) -> str:
    """An answer of a length of its own, by a number at its end that only a test can make something of."""
    drawn = random.Random(f"{name} {prompt}")
    said = ["much is known of it", "little of it is certain", "one can measure it", "some doubt this", "so it seems"]
    return ". ".join(drawn.choice(said) for _ in range(drawn.randrange(2, 20))) + f". [{number_of(name, prompt)}]"


def number_of(name: str, prompt: int) -> str:
    return hashlib.sha256(f"answer {name} {prompt}".encode()).hexdigest()[:10]


@dataclass
class Visitor:
    """An annotator's browser, and everything that it was ever sent."""

    served: Study
    link: str
    got: list[httpx2.Response] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._client = httpx2.Client(base_url=self.served.origin, timeout=60)

    def get(self, target: str) -> httpx2.Response:
        self.got.append(self._client.get(target))
        return self.got[-1]

    def post(self, target: str, form: Mapping[str, str], **headers: str) -> httpx2.Response:
        self.got.append(self._client.post(target, data=dict(form), headers=headers))
        return self.got[-1]

    def items(self) -> Iterator[tuple[str, str]]:
        """Each item that comes next: its address, and its page. Whoever asks for the next one has judged it."""
        while target := self._coming():
            yield target, self.get(target).text

    def _coming(self) -> str | None:
        """Where a judgement led to, or else what comes next."""
        led = self.got[-1].headers.get("location", "") if self.got else ""
        return led if "/item/" in led else self.get(f"{self.link}/next").headers.get("location")


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
    [
        "pairs",
        "ranking",
        "demonstrations",
        "writing",
    ],
)
def test_nothing_that_an_annotator_gets_tells_who_wrote_an_answer(task: str, tmp_path: Path) -> None:
    """A whole session, with all its pages, answers, redirects and errors; in names, and in what names are hashed to."""
    gold = [{"question": f"What is {i} + 1?", "better": f"It is {i + 1}.", "worse": "No."} for i in range(2)]
    write_jsonl(tmp_path / "okapi-gold.jsonl", gold)
    more = {
        "pairs": ("--gold", "okapi-gold.jsonl", "--repeats", "2"),
        "ranking": ("--task", "ranking"),
        "demonstrations": (CONTESTANTS[0], "--task", "demonstrations"),
        "writing": ("--task", "demonstrations"),
    }[task]
    with serve(tmp_path, CONTESTANTS, 4, "--annotators", "2", "--overlap", "2", *more) as served:
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


def test_a_check_and_a_second_showing_look_like_every_other_pair(tmp_path: Path) -> None:
    gold = [
        {"question": f"What is known of {i}?", "better": text_of("g", i), "worse": text_of("w", i)} for i in range(3)
    ]
    write_jsonl(tmp_path / "gold.jsonl", gold)
    options = ("--annotators", "1", "--overlap", "1", "--gold", "gold.jsonl", "--repeats", "2")
    with serve(tmp_path, CONTESTANTS[:2], 12, *options) as served:
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
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[Seen]:
    """What four annotators saw of 30 pairs."""
    with serve(
        tmp_path_factory.mktemp("pairs"), CONTESTANTS[:2], PROMPTS, "--annotators", "4", "--overlap", "4"
    ) as served:
        return everything(served, [1, 2, 3, 4], {"choice": "right-much"})


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


def test_a_ranking_is_laid_out_in_an_order_that_tells_nothing(tmp_path: Path) -> None:
    """The answers have letters, places and fields by the order on the page, and each order is as likely as another."""
    options = ("--task", "ranking", "--annotators", "2", "--overlap", "2")
    form = {"choice": "ranking", "rank-0": "2", "rank-1": "3", "rank-2": "1"}
    with serve(tmp_path, CONTESTANTS, PROMPTS, *options) as served:
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


def test_who_knows_the_code_and_the_seed_cannot_work_out_the_sides(pairs: list[Seen]) -> None:
    """An annotator who reads the source, guesses that the seed is 0, and takes the ids from the addresses."""
    mine = [one for one in pairs if one.annotator == 1]
    prompt = Prompt(id="", messages=(Message(role="user", content=""),))
    items = tuple(Item(id=one.id, kind="pair", prompt=prompt, texts=("", ""), by=("a", "b")) for one in mine)
    guessed = Queue.model_construct(**dict.fromkeys(Queue.model_fields, "") | {"seed": 0, "items": items})
    right = sum((guessed.layouts[one.id] == (0, 1)) == side for one, side in zip(mine, firsts(pairs, 1), strict=True))
    assert binomtest(right, PROMPTS).pvalue > UNLIKELY


# ---------------------------------------------------------------- who annotated


PEOPLE = ("Zephyrine Quokkaworth", "Bartholomew Jerboason", "Cunégonde Bilbyström")
COMMENT = "Vermilion gargoyle"


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    """Three annotators with names, who judged everything, with comments; the first twice, and has begun the last one.

    Some answers say that a model wrote them.
    """
    folder = tmp_path_factory.mktemp("named")
    (folder / "names.txt").write_text("\n".join(PEOPLE), encoding="utf-8")
    with serve(folder, CONTESTANTS[:2], 6, "--names", "names.txt", "--overlap", "3", texts=telling_text_of) as served:
        for annotator in (1, 2, 3):
            judge_with_comments(Visitor(served, served.links[f"annotator-{annotator}"]), annotator)
        yield served


def judge_with_comments(visitor: Visitor, annotator: int) -> None:
    for number, (target, _) in enumerate(visitor.items()):
        comment = f"{COMMENT if annotator == 1 else 'Teal obelisk'} {number}"
        visitor.post(f"{target}/draft", {"turn": "0", "comment": f"{comment}, a draft"})
        visitor.post(f"{target}/draft", {"turn": "0", "comment": f"{comment}, another draft"})
        if annotator == 1 and number == 5:
            break
        choice = "left-much" if (number + annotator) % 3 else "right-slightly"
        for turn in range(1 + (annotator == 1)):
            said = f"{comment}, turn {turn}, {incompressible(2_000)}"
            assert visitor.post(target, {"turn": str(turn), "choice": choice, "comment": said}).status_code == 303


def telling_text_of(name: str, prompt: int) -> str:
    told = ("As GPT-4, I say so.", "I was trained by Anthropic.", "As an AI language model, no.")
    return told[prompt] if name == CONTESTANTS[0] and prompt < len(told) else text_of(name, prompt)


def incompressible(length: int) -> str:
    """So much text that it does not fit into one page of a database, however it is compressed."""
    return "".join(chr(random.randrange(0x4E00, 0x9FA0)) for _ in range(length))


def test_answers_that_name_a_model_are_counted(named: Study) -> None:
    assert "3 of 12 answers (25%) name a model, and may tell who wrote them." in named.output
    assert "3 of 12 answers (25%) name a model." in named.run("annotate", "status").stdout


def names_in(text: str | bytes) -> list[str]:
    """The parts of the names of annotators that stand in a text, in whatever way they may have been written."""
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    found = text.lower()
    parts = [part.lower() for name in PEOPLE for part in name.split()]
    escaped = [json.dumps(part)[1:-1] for part in parts] + [html.escape(part) for part in parts]
    return sorted({part for part in [*parts, *escaped] if part in found})


def test_what_is_passed_on_holds_pseudonyms(named: Study) -> None:
    """Downloads, exports, status --json, and every file of the reports of compare and agree; not the list of links."""
    owner = named.links["adjudication"]
    with httpx2.Client() as client:
        pages = [client.get(f"{owner}/export/{what}.{suffix}") for what in EXPORTS for suffix in ("csv", "jsonl")]
        assert names_in(client.get(owner).text)  # whoever runs the study knows whom they asked
    written = [page.content for page in pages]
    assert sum(b"annotator-2" in one for one in written) == 2
    assert named.run("annotate", "export", "verdicts", "--out", "verdicts.jsonl").returncode == 0
    written.append((named.folder / "verdicts.jsonl").read_bytes())
    for command in (
        ("annotate", "status", "--json"),
        ("compare", *CONTESTANTS[:2], "--suite", "exam.yaml", "--judge", "humans"),
        ("agree", *CONTESTANTS[:2], "--suite", "exam.yaml"),
    ):
        done = named.run(*command)
        assert done.returncode == 0, done.stderr
        written += [done.stdout.encode(), done.stderr.encode()]
    files = [path for path in (named.folder / "results").rglob("*") if path.is_file()]
    reports = [path for path in files if path.name != "links.csv" and not path.name.startswith("ledger.sqlite")]
    assert {"report.html"} <= {path.name for path in reports}
    written += [path.read_bytes() for path in reports]
    assert any(COMMENT.encode() in one and b"annotator-1" in one for one in written)
    for one in written:
        assert names_in(one) == []
    [links] = [path for path in files if path.name == "links.csv"]
    assert names_in(links.read_bytes())
    assert links.stat().st_mode & 0o077 == 0


def test_names_are_exported_when_they_are_asked_for(named: Study) -> None:
    assert named.run("annotate", "export", "verdicts", "--out", "named.csv", "--with-names").returncode == 0
    text = (named.folder / "named.csv").read_text(encoding="utf-8")
    assert [text.count(name) for name in PEOPLE] == [5, 6, 6]
    assert "annotator-" not in text


def test_who_is_forgotten_leaves_no_trace_but_a_pseudonym(named: Study) -> None:
    """Not in the bytes of the ledger and its journal, while the pages are served, and in nothing that comes of it."""
    link, owner = named.links["annotator-1"], named.links["adjudication"]
    assert "zephyrine" in names_in(httpx2.get(owner).text)
    assert COMMENT in httpx2.get(f"{owner}/disputed").text
    blobs = compressed(named)
    assert trace(ledger_of(named), blobs, "Zephyrine", COMMENT) == {"Zephyrine", COMMENT, "compressed"}
    done = named.run("annotate", "forget", PEOPLE[0], "--yes")
    assert done.returncode == 0
    assert "annotator-1 is forgotten; 10 judgements were deleted" in done.stderr
    assert trace(ledger_of(named), blobs, "Zephyrine", "Quokkaworth", COMMENT) == set()
    assert httpx2.get(link).status_code == 403
    assert httpx2.get(f"{link}/history").status_code == 403
    _, judged, people = named.kept()
    assert {one.annotator for one in judged} == {2, 3}
    gone = people[1]
    assert (gone.pseudonym, gone.name, gone.state, gone.forgotten) == ("annotator-1", None, FORGOTTEN, 10)
    pages = [httpx2.get(owner + page).text for page in ("", "/disputed")]
    files = [httpx2.get(f"{owner}/export/{what}.jsonl").text for what in EXPORTS]
    for text in (*pages, *files):
        assert COMMENT not in text
        assert not {"zephyrine", "quokkaworth"} & set(names_in(text))
    assert "annotator-2" in files[0]
    assert "annotator-1" not in files[0]
    [listed] = named.folder.glob("results/*/*/links.csv")
    assert not {"zephyrine", "quokkaworth"} & set(names_in(listed.read_bytes()))
    assert "bartholomew" in names_in(listed.read_bytes())
    status = json.loads(named.run("annotate", "status", "--json").stdout)
    assert [(one["annotator"], one["state"], one["judged"]) for one in status["annotators"]] == [
        ("annotator-1", "forgotten", 0),
        ("annotator-2", "open", 6),
        ("annotator-3", "open", 6),
    ]
    agreed = named.run("agree", *CONTESTANTS[:2], "--suite", "exam.yaml")
    assert agreed.returncode == 0, agreed.stderr
    assert "annotator-2" in agreed.stdout
    assert "annotator-1" not in agreed.stdout
    assert named.stop() in (0, 130)
    assert trace(ledger_of(named), blobs, "Zephyrine", "Quokkaworth", COMMENT) == set()


def test_an_older_draft_of_who_is_forgotten_is_gone_too(tmp_path: Path) -> None:
    """With an SQLite that does not overwrite what is deleted unless it is told to: Debian's does, others do not."""

    def usual(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA secure_delete = OFF")

    sa.event.listen(sa.Engine, "connect", usual)
    try:
        with Store(tmp_path / "ledger.sqlite") as store:
            desk = Desk(store, queue_of(tmp_path, store, prompts=6))
            person = store.annotators.add(PEOPLE[0], until(30))
            while item := desk.next(person):
                for length in (50, 100, 150):
                    desk.draft(person, item, {"comment": COMMENT + "x" * length})
                desk.judge(person, item, 0, {"choice": "left-much"})
            store.annotators.forget(person.id)
    finally:
        sa.event.remove(sa.Engine, "connect", usual)
    files = [path.read_bytes() for path in tmp_path.glob("ledger.sqlite*") if path.is_file()]
    assert not [one for one in files if COMMENT.encode() in one or PEOPLE[0].encode() in one]


def ledger_of(served: Study) -> bytes:
    """The bytes of a ledger and of the files beside it."""
    files = [path for path in (served.folder / "results").glob("ledger.sqlite*") if path.is_file()]
    assert {path.name for path in files} >= {"ledger.sqlite"}
    return b"".join(path.read_bytes() for path in files)


def compressed(served: Study) -> list[bytes]:
    """The texts of the ledger that hold the comment, as they are kept."""
    with closing(sqlite3.connect(served.folder / "results" / "ledger.sqlite")) as ledger:
        bodies = [body for (body,) in ledger.execute("SELECT body FROM texts")]
    found = [body for body in bodies if COMMENT.encode() in zlib.decompress(body)]
    assert len(found) == 20  # of 10 judgements, and as the reasons of their verdicts
    return found


def trace(ledger: bytes, blobs: Sequence[bytes], *words: str) -> set[str]:
    """Which of these words stand in a ledger, as they are or in any stream of zlib; and if any part of a blob does.

    A blob may lie on several pages, or half overwritten in a page that is free.
    """
    found = {word for word in words if word.encode() in ledger}
    for start in (match.start() for match in re.finditer(b"\x78[\x01\x5e\x9c\xda]", ledger)):
        with suppress(zlib.error):
            text = zlib.decompressobj().decompress(ledger[start : start + 100_000])
            found |= {word for word in words if word.encode() in text}
    pieces = [blob[i : i + 20] for blob in blobs for i in range(2, len(blob) - 20, 20)]
    return found | ({"compressed"} if any(piece in ledger for piece in pieces) else set())
