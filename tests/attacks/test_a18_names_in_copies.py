"""A copied report, export or ledger is searched for the names of annotators, also of one who was forgotten."""

from __future__ import annotations

import html
import json
import random
import re
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from annotate_queue import queue_of
from forked import Commands
from sciexam.annotate.desk import Desk
from sciexam.annotate.export import EXPORTS
from sciexam.annotate.links import until
from sciexam.store import Store
from sciexam.store.annotators import FORGOTTEN
from study import Study
from telling import CONTESTANTS, Visitor, serve

PEOPLE = ("Zephyrine Quokkaworth", "Bartholomew Jerboason", "Cunégonde Bilbyström")
COMMENT = "Vermilion gargoyle"


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory, commands: Commands) -> Iterator[Study]:
    """Three annotators with names, who judged everything, with comments; the first one twice."""
    folder = tmp_path_factory.mktemp("named")
    (folder / "names.txt").write_text("\n".join(PEOPLE), encoding="utf-8")
    with serve(commands, folder, CONTESTANTS[:2], 6, "--names", "names.txt", "--overlap", "3") as served:
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


def incompressible(length: int) -> str:
    """So much text that it does not fit into one page of a database, however it is compressed."""
    return "".join(chr(random.randrange(0x4E00, 0x9FA0)) for _ in range(length))


def names_in(text: str | bytes) -> list[str]:
    """The parts of the names of annotators that stand in a text, in whatever way they may have been written."""
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    found = text.lower()
    parts = [part.lower() for name in PEOPLE for part in name.split()]
    escaped = [json.dumps(part)[1:-1] for part in parts] + [html.escape(part) for part in parts]
    return sorted({part for part in [*parts, *escaped] if part in found})


@pytest.mark.slow
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


@pytest.mark.slow
def test_names_are_exported_when_they_are_asked_for(named: Study) -> None:
    assert named.run("annotate", "export", "verdicts", "--out", "named.csv", "--with-names").returncode == 0
    text = (named.folder / "named.csv").read_text(encoding="utf-8")
    assert [text.count(name) for name in PEOPLE] == [5, 6, 6]
    assert "annotator-" not in text


@pytest.mark.slow
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
