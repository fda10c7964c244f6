"""The ledger: what is put in comes out, nothing that was acknowledged is lost, nothing is changed."""

from __future__ import annotations

import fcntl
import hashlib
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from postgres import eventually, raw
from sciexam.errors import StoreError, UsageError
from sciexam.store import Store
from sciexam.store.writer import UNCOMMITTED_REPLIES
from sciexam.types import Grade, Reply, Verdict


def key(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def verdict(name: object, **more: object) -> Verdict:
    fields = {
        "prompt": "p",
        "first": "a",
        "second": "b",
        "rater": "r",
        "subject": key("s"),
        "preferred": "first",
    } | more
    return Verdict(key(name), **fields)  # type: ignore[arg-type]


@pytest.fixture
def store(ledger: str) -> Iterator[Store]:
    """An empty ledger, on each of the two databases."""
    with Store(ledger) as made:
        yield made


HOSTILE = [
    "",
    "\x00",
    "\ud800 lone",
    "\u202eright to left",
    "\x1b[31mred",
    "é" * 5000,
    "'; DROP TABLE replies; --",
    "\r\n\t",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_any_text_comes_back_as_it_was(store: Store, text: str) -> None:
    reply = Reply(
        key(1),
        text,
        failure=text,
        finish_reason=text,
        model=text,
        raw=text.encode("utf-8", "surrogatepass"),
    )
    judged = verdict(
        2,
        prompt=text or "p",
        first=text + "a",
        second=text + "b",
        reason=text,
        strength="strong",
        probability_second=0.25,
    )
    store.append([reply, judged])
    found = store.replies([key(1)])[key(1)]
    assert (found.text, found.finish_reason, found.model) == (text, text, text)
    got = store.verdicts([key(2)])[key(2)]
    assert (got.prompt, got.first, got.second, got.reason) == (text or "p", text + "a", text + "b", text)
    assert (got.preferred, got.strength, got.probability_second, got.kind) == ("first", "strong", 0.25, "judge")


def test_a_verdict_carries_its_reply_into_the_ledger_under_the_same_key(store: Store) -> None:
    reply = Reply(
        key("x"), "I think\nVERDICT ab: A>B", raw=b"{}", input_tokens=7, output_tokens=3, seconds=0.5, model="m-1"
    )
    store.append([verdict(1, reply=reply)])
    kept = store.replies([key(1)])[key(1)]
    assert (kept.text, kept.input_tokens, kept.output_tokens, kept.model) == (reply.text, 7, 3, "m-1")
    assert store.echoed([key(1)]) == {"m-1": 1}


def test_every_attempt_is_kept_and_the_fact_is_the_first_usable_one(store: Store) -> None:
    attempts = [("failed", "timeout"), ("invalid", "no verdict line"), ("ok", ""), ("ok", "")]
    for number, (status, failure) in enumerate(attempts):
        side = "second" if number == 2 else "first"
        store.append([verdict(1, status=status, failure=failure, preferred=None if failure else side)])
    fact = store.verdicts([key(1)])[key(1)]
    assert (fact.attempt, fact.preferred) == (2, "second")
    assert raw(store.location, "SELECT attempt FROM verdicts ORDER BY seq") == [(0,), (1,), (2,), (3,)]


def test_without_a_usable_attempt_the_fact_is_the_last(store: Store) -> None:
    for failure in ("timeout", "HTTP 500"):
        store.append([Reply(key(1), status="failed", failure=failure)])
    assert store.replies([key(1)])[key(1)].failure == "HTTP 500"


def test_a_fact_can_be_neither_changed_nor_deleted(store: Store) -> None:
    store.append([verdict(1, reply=Reply(key(1), "x"))])
    store.add_run("r1", "{}")
    for table, number in (("replies", "seq"), ("verdicts", "seq"), ("runs", "seq"), ("texts", "id"), ("names", "id")):
        for change in (f"DELETE FROM {table}", f"UPDATE {table} SET {number} = {number} + 1"):
            with pytest.raises(Exception, match="append-only"):
                raw(store.location, change)


def test_a_file_that_is_no_ledger_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    path.write_bytes(b"these are my notes, not a database" * 100)
    with pytest.raises(StoreError, match=r"notes\.sqlite: damaged, or not a ledger"):
        Store(path)
    assert path.read_bytes().startswith(b"these are my notes")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/ledger\.sqlite: .*--store"):
        Store(tmp_path / "file" / "ledger.sqlite")


def test_the_seal_depends_on_the_key_and_on_the_ledger_and_lasts(tmp_path: Path, ledger: str) -> None:
    with Store(ledger) as a, Store(tmp_path / "b.sqlite") as b:
        seals = {a.seal(key(1)), a.seal(key(2)), b.seal(key(1))}
        assert len(seals) == 3
    with Store(ledger) as again:
        assert again.seal(key(1)) in seals


def test_a_run_is_found_by_its_unique_beginning_as_it_was_last_started(store: Store) -> None:
    for run, manifest in (("abc1", "one"), ("abd2", "two"), ("abc1", "three")):
        store.add_run(run, manifest)
    assert (store.manifest("abc"), store.manifest("zz")) == ("three", None)
    with pytest.raises(UsageError, match="several runs begin with 'ab'; write more of the id"):
        store.manifest("ab")


def test_the_writer_tells_only_of_what_another_connection_can_read(store: Store) -> None:
    told: list[int] = []

    def durable(facts: object) -> None:
        told.append(raw(store.location, "SELECT count(*) FROM replies")[0][0])
        counted.append(len(facts))  # type: ignore[arg-type]

    counted: list[int] = []
    with store.writer(durable) as writer:
        for number in range(450):
            writer.put(Reply(key(number), "x"))
    assert sum(counted) == 450
    assert all(seen >= sum(counted[: i + 1]) for i, seen in enumerate(told))


def test_what_a_commit_raises_reaches_the_one_who_puts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(tmp_path / "ledger.sqlite") as store:
        monkeypatch.setattr(store, "append", lambda facts: (_ for _ in ()).throw(StoreError("no space left")))

        def put_many() -> None:
            with store.writer() as writer:
                for number in range(5000):
                    writer.put(Reply(key(number), "x"))
                    time.sleep(0.001)

        with pytest.raises(StoreError, match="no space left"):
            put_many()


def test_few_replies_that_were_paid_for_can_be_waiting_for_their_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path / "l.sqlite") as store:
        gate, put = threading.Event(), []
        append = store.append
        monkeypatch.setattr(store, "append", lambda facts: (gate.wait(), append(facts)))

        def pay() -> None:
            with store.writer() as writer:
                for number in range(50):
                    writer.put(Reply(key(number), "x", raw=b"{}"))
                    put.append(number)

        payer = threading.Thread(target=pay, daemon=True)
        payer.start()
        time.sleep(0.5)
        assert len(put) == UNCOMMITTED_REPLIES, "the ninth waits until a commit has made room"
        gate.set()
        payer.join(timeout=20)
        assert len(put) == len(store.replies([key(number) for number in range(50)])) == 50


def test_a_claim_is_one_process_alone_until_the_fact_or_its_end(ledger: str) -> None:
    with Store(ledger) as one:
        with Store(ledger) as two:
            assert one.claim([key(1), key(2)]) == {key(1), key(2)}
            assert two.claim([key(1), key(2), key(3)]) == {key(3)}
            one.append([Reply(key(1), "x")])
            assert two.claim([key(1), key(2)]) == {key(1)}
            one.release([key(2)])
            assert two.claim([key(2)]) == {key(2)}
        assert one.claim([key(1), key(3)]) == {key(1), key(3)}, "a closed process holds nothing"


def test_the_claims_of_a_killed_process_are_taken_over(ledger: str) -> None:
    code = f"""
        import sys, time
        from sciexam.store import Store
        store = Store({ledger!r})
        store.claim([{key(1)!r}])
        print("claimed", flush=True)
        time.sleep(60)
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    with Store(ledger) as store:
        assert store.claim([key(1)]) == set()
        assert store.workers() == 1
        child.send_signal(signal.SIGKILL)
        child.wait()
        begun = time.monotonic()
        assert eventually(lambda: store.claim([key(1)]) == {key(1)})
        assert time.monotonic() - begun < 1 or "://" in ledger, "a file's lock ends with its process, and at once"
        assert eventually(lambda: store.workers() == 0)


def test_the_fact_of_one_process_does_not_free_the_claim_of_another(ledger: str) -> None:
    with Store(ledger) as one, Store(ledger) as two, Store(ledger) as third:
        one.claim([key(1)])
        two.append([verdict(1)])
        assert third.claim([key(1)]) == set()


def test_a_verdict_that_was_cut_off_keeps_its_claim_for_the_second_attempt(ledger: str) -> None:
    with Store(ledger) as one, Store(ledger) as two:
        one.claim([key(1)])
        one.append([verdict(1, status="invalid", failure="truncated", preferred=None)])
        assert two.claim([key(1)]) == set()
        one.append([verdict(1)])
        assert two.claim([key(1)]) == {key(1)}


def test_a_write_takes_both_locks_from_its_beginning_and_a_read_takes_none(tmp_path: Path) -> None:
    store = Store(tmp_path / "ledger.sqlite")
    other = sqlite3.connect(store.location, timeout=0, isolation_level=None)
    with store.database.writing(), Path(f"{store.location}.lock").open() as lock:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with store.database.reading() as reading:
        assert reading.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2, "FULL"
        assert reading.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    other.close()
    store.close()


@pytest.mark.parametrize("location", ["mysql://me:hunter2@host/db", "nonsense://x:hunter2@y", "sqlite://hunter2"])
def test_a_database_that_is_not_supported_is_refused_without_repeating_its_password(location: str) -> None:
    with pytest.raises(UsageError, match="--store") as refused:
        Store(location)
    assert "hunter2" not in str(refused.value)


def test_a_sqlite_url_is_the_file_it_names(tmp_path: Path) -> None:
    with Store(f"sqlite:///{tmp_path}/l.sqlite") as one, Store(tmp_path / "l.sqlite") as two:
        assert one.claim([key(1)]) == {key(1)}
        assert two.claim([key(1)]) == set()


def test_a_grade_comes_out_as_it_went_in(store: Store) -> None:
    said = Reply(key("g"), "SCORE", raw=b"{}", model="m")
    grade = Grade(key("g"), "p", "a", "r", subject=key("s"), score=0.75, criteria={"structure": 3.0}, reason="why")
    store.append([replace(grade, reply=said), Grade(key("h"), "p", "a", "r", subject=key("s"), status="failed")])
    found = store.grades([key("g"), key("h"), key("unknown")])
    assert found == {key("g"): grade, key("h"): Grade(key("h"), "p", "a", "r", subject=key("s"), status="failed")}
    assert store.replies([key("g")])[key("g")].text == "SCORE"


def test_what_a_verdict_says_of_each_criterion_is_kept(store: Store) -> None:
    given = verdict("v", criteria={"structure": "second", "writing": "tie"})
    store.append([given])
    assert store.verdicts([key("v")])[key("v")].criteria == {"structure": "second", "writing": "tie"}


def test_a_ledger_of_version_1_is_brought_up_to_date_with_all_its_verdicts(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Store(path) as ledger:
        ledger.append([verdict("v")])
        seal = ledger.seal(key("v"))
    with sqlite3.connect(path) as file:  # as a ledger was before there were grades and criteria
        file.execute("ALTER TABLE verdicts DROP COLUMN criteria")
        file.execute("DROP TABLE grades")
        file.execute("DROP TABLE batches")
        file.execute("UPDATE meta SET value = '1' WHERE name = 'version'")
        file.execute("PRAGMA user_version = 1")
    with Store(path) as ledger:
        assert ledger.verdicts([key("v")])[key("v")] == verdict("v")
        assert ledger.seal(key("v")) == seal
        ledger.append(
            [Grade(key("g"), "p", "a", "r", subject=key("s"), score=1.0), verdict("w", criteria={"c": "tie"})]
        )
        assert ledger.grades([key("g")])[key("g")].score == 1.0
        ledger.batches.intend("token", "model", {key("b"): 0})
        assert [batch.requests for batch in ledger.batches.open_batches("model")] == [{key("b"): 0}]
    with sqlite3.connect(path) as file, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        file.execute("DELETE FROM grades")


def test_a_ledger_of_version_1_that_many_open_at_once_is_brought_up_to_date_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Store(path) as ledger:
        ledger.append([verdict("v")])
    with sqlite3.connect(path) as file:
        file.execute("ALTER TABLE verdicts DROP COLUMN criteria")
        file.execute("DROP TABLE grades")
        file.execute("DROP TABLE batches")
        file.execute("PRAGMA user_version = 1")

    def opened(number: int) -> Verdict:
        with Store(path) as one:
            one.append([verdict(f"w{number}", criteria={"c": "tie"})])
            return one.verdicts([key("v")])[key("v")]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(opened, range(8))) == [verdict("v")] * 8
    with Store(path) as ledger:
        assert len(ledger.verdicts([key(f"w{number}") for number in range(8)])) == 8


def test_a_write_that_was_undone_leaves_no_word_behind_that_only_this_process_knows(store: Store) -> None:
    with pytest.raises(ValueError, match="JSON"):
        store.append([verdict("v", rater="a stranger", criteria={"c": float("nan")})])
    store.append([verdict("v", rater="a stranger")])
    with Store(store.location) as other:
        assert other.verdicts([key("v")])[key("v")].rater == "a stranger"


def test_a_folder_is_no_ledger_and_the_file_in_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"is a folder; name the ledger in it: --store .*/ledger\.sqlite$"):
        Store(tmp_path)
