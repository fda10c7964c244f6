"""`sciexam store`: damage is found and named, what is whole is salvaged, copies are one state, people are forgotten."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from annotate_queue import queue_of
from conftest import COMMAND, Cli, clean_environment
from sciexam.annotate.desk import Desk
from sciexam.annotate.links import until
from sciexam.store import Store
from sciexam.store.backup import back_up
from sciexam.store.examination import examine
from sciexam.store.forgetting import FORGOTTEN
from sciexam.store.salvage import repair
from sciexam.types import Reply, Verdict
from test_store import key, verdict

FACTS = 1200


def reply(number: int) -> Reply:
    text = f"Answer {number}: " + " ".join(str(number * step) for step in range(40))
    return Reply(key(number), text, raw=text.encode() * 3, finish_reason="stop", model=f"m{number % 7}", seconds=0.5)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with replies, verdicts and an annotator."""
    file = tmp_path_factory.mktemp("written") / "ledger.sqlite"
    with Store(file) as store:
        store.add_run("0" * 64, "{}")
        store.annotators.add("Ann Lee", until(1))
        for start in range(0, FACTS, 200):
            store.append([reply(number) for number in range(start, start + 200)])
            store.append([verdict(f"v{number}", reason=f"because {number}") for number in range(start, start + 200)])
    return file


@pytest.fixture
def file(written: Path, tmp_path: Path) -> Path:
    """The same in `results`, where commands look for it."""
    file = tmp_path / "results" / "ledger.sqlite"
    file.parent.mkdir()
    shutil.copy(written, file)
    return file


def facts(file: Path) -> dict[str, Reply | Verdict]:
    with Store(file) as store:
        return {
            **store.replies([key(number) for number in range(FACTS)]),
            **store.verdicts([key(f"v{number}") for number in range(FACTS)]),
        }


def spoil(file: Path, start: float, pages: int) -> bytes:
    """Overwrite pages from a place in the file (0 to 1); the bytes that it has then."""
    data = bytearray(file.read_bytes())
    at = int(start * len(data)) // 4096 * 4096
    data[at : at + pages * 4096] = random.Random(3).randbytes(pages * 4096)
    file.write_bytes(data)
    return bytes(data)


def change(file: Path, *statements: str) -> None:
    """Change a ledger behind its back."""
    with closing(sqlite3.connect(file)) as ledger, ledger:
        for name in [name for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]:
            if not {f"DROP TRIGGER {name}", f"DROP TABLE {name.partition('_')[0]}"} & set(statements):
                sql = ledger.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()[0]
                ledger.execute(f"DROP TRIGGER {name}")
                statements += (sql,)
        for statement in statements:
            ledger.execute(statement)


# ---------------------------------------------------------------- check


def test_a_whole_ledger_is_called_so_and_is_left_as_it_is(sciexam: Cli, file: Path) -> None:
    before = file.read_bytes()
    done = sciexam("store", "check")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "nothing is damaged")
    found = json.loads(sciexam("store", "check", "--json").stdout)
    assert found["faults"] == []
    assert found["tables"]["replies"] == {"sound": FACTS, "lost": 0, "at_least": False}
    assert file.read_bytes() == before


DAMAGED = {
    "a text that is another": (
        "UPDATE texts SET body = (SELECT body FROM texts WHERE id = 9) WHERE id = 8",
        "texts: 3,601 rows are whole, 1 lost",
    ),
    "a text that is gone": ("DELETE FROM texts WHERE id = 8", "replies: 1,199 rows are whole, 1 lost"),
    "a name that is gone": (
        "DELETE FROM names WHERE name = CAST('r' AS BLOB)",
        "verdicts: 0 rows are whole, 1,200 lost",
    ),
    "a side that is none": (
        "UPDATE verdicts SET preferred = 7 WHERE seq = 5",
        "verdicts: 1,199 rows are whole, 1 lost",
    ),
    "a key that is short": ("UPDATE replies SET key = X'00' WHERE seq = 5", "replies: 1,199 rows are whole, 1 lost"),
    "a word for a number": ("UPDATE replies SET tries = 'x' WHERE seq = 5", "replies: 1,199 rows are whole, 1 lost"),
    "a secret that is gone": ("DELETE FROM meta WHERE name = 'secret'", "meta: the ledger's secret is lost"),
    "a guard that is gone": (
        "DROP TRIGGER verdicts_no_update",
        "verdicts: facts can be changed, because the trigger verdicts_no_update is missing",
    ),
    "a table that is gone": ("DROP TABLE grades", "grades: nothing can be read of it"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_each_kind_of_damage_is_found_and_said(file: Path, what: str) -> None:
    statement, said = DAMAGED[what]
    change(file, statement)
    assert any(fault.startswith(said) for fault in examine(str(file)).faults), examine(str(file)).faults


def test_a_damaged_page_exits_5_with_what_is_lost_and_what_to_type(sciexam: Cli, file: Path) -> None:
    spoilt = spoil(file, 0.4, 8)
    done = sciexam("store", "check", "--results", "results/")
    assert (done.returncode, done.stdout.startswith("results/ledger.sqlite: ")) == (5, True)
    assert "sciexam: results/ledger.sqlite: damaged:" in done.stderr
    assert "SQLite: " in done.stderr
    assert " lost" in done.stderr
    assert "sciexam: `sciexam store repair` salvages what can be read; or restore a backup" in done.stderr
    assert file.read_bytes() == spoilt
    elsewhere = sciexam("store", "check", "--store", "results/ledger.sqlite")
    assert "`sciexam store repair --store results/ledger.sqlite` salvages" in elsewhere.stderr


def test_a_ledger_in_postgresql_is_read_as_a_file_is(postgresql: str, sciexam: Cli) -> None:
    with Store(postgresql) as store:
        store.append([reply(1), verdict("v")])
        with store.database.writing() as connection:
            assert examine(postgresql).faults == ()
            connection.exec_driver_sql("DROP TRIGGER texts_append_only ON texts")
            connection.exec_driver_sql("UPDATE texts SET digest = decode(repeat('00', 32), 'hex') WHERE id = 1")
    faults = examine(postgresql).faults
    assert "texts: facts can be changed, because the trigger texts_append_only is missing" in faults
    assert any(fault.startswith("texts: ") and fault.endswith("1 lost") for fault in faults)
    for command, instead in (("repair",), "pg_restore"), (("backup", "copy.dump"), "pg_dump -Fc DATABASE > copy.dump"):
        done = sciexam("store", *command, "--store", postgresql)
        assert (done.returncode, instead in done.stderr) == (2, True)


# ---------------------------------------------------------------- repair


@pytest.mark.parametrize(("start", "pages"), [(0.1, 1), (0.4, 12), (0.9, 3)])
def test_what_is_whole_is_salvaged_as_it_was_and_what_is_lost_is_counted(
    sciexam: Cli, file: Path, written: Path, start: float, pages: int
) -> None:
    spoilt = spoil(file, start, pages)
    done = sciexam("store", "repair", "--json")
    found, saved, known = json.loads(done.stdout), facts(file), facts(written)
    assert {name: saved[name] for name in saved} == {name: known[name] for name in saved}
    for table, kind in ("replies", Reply), ("verdicts", Verdict):
        tally = found["tables"][table]
        assert tally["sound"] == sum(isinstance(fact, kind) for fact in saved.values())
        assert tally["sound"] + tally["lost"] == FACTS or tally["at_least"]
    assert done.returncode == (3 if any(one["lost"] or one["at_least"] for one in found["tables"].values()) else 0)
    assert Path(found["kept"]).name.startswith("ledger.sqlite.damaged-")
    assert (file.parent.parent / found["kept"]).read_bytes() == spoilt
    assert sciexam("store", "check").returncode == 0
    assert not list(file.parent.glob(".*")), "no litter"


def test_a_cut_off_file_gives_what_is_left_of_it(sciexam: Cli, file: Path, written: Path) -> None:
    file.write_bytes(file.read_bytes()[: int(0.7 * file.stat().st_size)])
    done = sciexam("store", "repair")
    assert done.returncode == 3
    assert "Salvaged" in done.stdout
    assert "the damaged file is kept as " in done.stderr
    assert "repaired, with the losses above; the same command as before asks again for them" in done.stderr
    saved, known = facts(file), facts(written)
    assert 0 < len(saved) < len(known)
    assert all(fact == known[name] for name, fact in saved.items())


def test_a_damaged_index_costs_no_row(file: Path, written: Path) -> None:
    with closing(sqlite3.connect(file)) as ledger:
        (page,) = ledger.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_replies_1'"
        ).fetchone()
    data = bytearray(file.read_bytes())
    data[(page - 1) * 4096 : page * 4096] = bytes(4096)
    file.write_bytes(data)
    done = repair(str(file))
    assert done is not None
    assert done.is_whole
    assert facts(file) == facts(written)


def test_the_secret_stays_and_with_it_every_link(file: Path) -> None:
    with Store(file) as store:
        sealed = store.seal(key("x"))
    spoil(file, 0.5, 4)
    assert repair(str(file)) is not None
    with Store(file) as store:
        assert store.seal(key("x")) == sealed
        assert [one.name for one in store.annotators.all()] == ["Ann Lee"]


def test_a_secret_that_is_lost_is_said(sciexam: Cli, file: Path) -> None:
    change(file, "DELETE FROM meta WHERE name = 'secret'")
    done = sciexam("store", "repair")
    assert done.returncode == 3
    assert "links of annotators are void, `sciexam annotate link` gives others" in done.stderr
    assert examine(str(file)).faults == ()


def test_nothing_is_changed_where_nothing_is_wrong_nothing_can_be_read_or_another_has_it_open(
    sciexam: Cli, file: Path
) -> None:
    done = sciexam("store", "repair")
    assert (done.returncode, done.stdout) == (0, "results/ledger.sqlite: nothing is damaged, and nothing was changed\n")
    spoilt = spoil(file, 0.4, 4)
    with closing(sqlite3.connect(file)) as another:
        another.execute("SELECT count(*) FROM runs").fetchone()
        done = sciexam("store", "repair")
        assert (done.returncode, "another process has it open; end that one first" in done.stderr) == (5, True)
    assert file.read_bytes() == spoilt
    spoilt = spoil(file, 0.0, 1)
    done = sciexam("store", "repair")
    assert done.returncode == 5
    assert file.read_bytes() == spoilt
    assert not list(file.parent.glob("*damaged*"))


def test_two_repairs_in_one_second_keep_both_damaged_files(file: Path) -> None:
    kept = set()
    for start in (0.4, 0.6, 0.8):
        spoilt = spoil(file, start, 1)
        done = repair(str(file))
        assert done is not None
        assert done.kept.read_bytes() == spoilt
        kept.add(done.kept)
    assert len(kept) == 3


@pytest.mark.slow
def test_killed_at_any_moment_a_repair_leaves_the_old_or_the_new_ledger(file: Path, tmp_path: Path) -> None:
    spoilt = spoil(file, 0.4, 8)
    command = [str(COMMAND), "store", "repair"]
    begun = time.monotonic()
    subprocess.run(command, cwd=tmp_path, env=clean_environment(), check=False, capture_output=True)
    took, whole, draw = time.monotonic() - begun, facts(file), random.Random(5)
    for _ in range(30):
        for path in file.parent.glob("ledger.sqlite*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        file.write_bytes(spoilt)
        child = subprocess.Popen(
            command, cwd=tmp_path, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(took * draw.uniform(0.3, 1.05))
        child.kill()
        child.wait()
        assert file.read_bytes() == spoilt or not examine(str(file)).faults
        repair(str(file))
        assert facts(file) == whole
        assert not list(file.parent.glob(".*")), "what the kill left is swept"


# ---------------------------------------------------------------- backup


@pytest.fixture
def busy(file: Path) -> Iterator[Callable[[], int]]:
    """Somebody who appends verdicts in pairs all the time; says how many are durable."""
    ended, done = threading.Event(), [0]

    def append() -> None:
        with Store(file) as store:
            while not ended.is_set():
                store.append([verdict(f"a{done[0]}"), verdict(f"b{done[0]}")])
                done[0] += 1

    writer = threading.Thread(target=append)
    writer.start()
    while done[0] < 3:
        time.sleep(0.01)
    yield lambda: done[0]
    ended.set()
    writer.join()


def test_a_backup_is_one_state_while_others_write_and_is_a_ledger(
    file: Path, tmp_path: Path, busy: Callable[[], int]
) -> None:
    for number in range(3):
        copy, before = tmp_path / f"copy-{number}.sqlite", busy()
        back_up(str(file), copy)
        after = busy()
        assert examine(str(copy)).faults == ()
        with closing(sqlite3.connect(copy)) as ledger:
            (pairs,) = ledger.execute("SELECT count(*) / 2.0 FROM verdicts").fetchone()
        assert pairs == int(pairs), "never half a transaction"
        assert before <= pairs - FACTS / 2 <= after + 1
        with Store(copy) as store:
            assert len(store.replies([key(number) for number in range(FACTS)])) == FACTS


def test_a_backup_overwrites_nothing_and_leaves_no_draft(sciexam: Cli, file: Path, tmp_path: Path) -> None:
    done = sciexam("store", "backup", "copy.sqlite")
    assert (done.returncode, done.stdout.endswith("To use it: --store copy.sqlite\n")) == (0, True), done.stderr
    copied = (tmp_path / "copy.sqlite").read_bytes()
    again = sciexam("store", "backup", "copy.sqlite")
    assert again.returncode == 2
    assert "copy.sqlite is there already, and a backup overwrites nothing; name another file" in again.stderr
    assert (tmp_path / "copy.sqlite").read_bytes() == copied
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.sqlite", "results"]


@pytest.mark.slow
def test_killed_at_any_moment_a_backup_is_whole_or_not_there(file: Path, tmp_path: Path) -> None:
    command, copy = [str(COMMAND), "store", "backup", "copies/copy.sqlite"], tmp_path / "copies" / "copy.sqlite"
    begun = time.monotonic()
    subprocess.run(command, cwd=tmp_path, env=clean_environment(), check=True, capture_output=True)
    took, draw, made = time.monotonic() - begun, random.Random(9), 0
    for _ in range(20):
        copy.unlink(missing_ok=True)
        child = subprocess.Popen(
            command, cwd=tmp_path, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(took * draw.uniform(0.4, 1.05))
        child.kill()
        child.wait()
        made += copy.exists()
        for beside in copy.parent.glob(".*.tmp"):
            Path(f"{beside}-journal").touch()  # as SQLite leaves it
        assert not copy.exists() or not examine(str(copy)).faults
        copy.unlink(missing_ok=True)
        back_up(str(file), copy)
        assert [path.name for path in copy.parent.iterdir()] == ["copy.sqlite"], "what the kill left is swept"
    assert made < 20, "no kill came in time; the test shows nothing"


def test_a_damaged_ledger_has_no_backup(sciexam: Cli, file: Path, tmp_path: Path) -> None:
    spoil(file, 0.4, 4)
    done = sciexam("store", "backup", "copy.sqlite")
    assert (done.returncode, "damaged (" in done.stderr, "and not copied" in done.stderr) == (5, True, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results"]


def test_commands_without_a_ledger_say_where_to_begin_and_make_none(sciexam: Cli, tmp_path: Path) -> None:
    first = {("check",): "compare", ("repair",): "compare", ("backup", "copy.sqlite"): "compare"}
    for command, makes_one in (first | {("forget", "Ann"): "annotate serve"}).items():
        done = sciexam("store", *command)
        assert (done.returncode, f"no ledger there; run `sciexam {makes_one}` first" in done.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- forget


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """A ledger in which Ann and Bob judged three items each, with comments."""
    file = tmp_path / "results" / "ledger.sqlite"
    with Store(file) as store:
        desk = Desk(store, queue_of(tmp_path, store, prompts=3))
        for name in ("Ann", "Bob"):
            who = store.annotators.add(name, until(1))
            while item := desk.next(who):
                desk.judge(who, item, 0, {"choice": "left-much", "comment": f"{name} says so"})
    return file


def test_what_a_forgotten_person_chose_can_be_kept_without_their_words(sciexam: Cli, judged: Path) -> None:
    done = sciexam("store", "forget", "Ann", "--keep-judgements", "--yes")
    assert done.returncode == 0, done.stderr
    assert "annotator-1 is forgotten; 0 judgements were deleted" in done.stderr
    assert "what stays: what they chose, under the pseudonym; the pseudonym with that number; reports" in done.stderr
    with Store(judged) as store:
        person = store.annotators.all()[0]
        assert (person.pseudonym, person.name, person.state, person.forgotten) == ("annotator-1", None, FORGOTTEN, 0)
        (queue,) = store.annotations.queues()
        kept = {one.annotator: [] for one in store.annotations.judgements(queue)}  # type: dict[int, list[Any]]
        for one in store.annotations.judgements(queue):
            kept[one.annotator].append((one.choice, json.loads(one.body)))
    assert kept == {1: [("left-much", {})] * 3, 2: [("left-much", {"comment": "Bob says so"})] * 3}
    for path in judged.parent.glob("ledger.sqlite*"):
        assert path.is_dir() or b"Ann" not in path.read_bytes()
    with closing(sqlite3.connect(judged)) as ledger:
        assert ledger.execute("SELECT count(*) FROM verdicts").fetchone() == (6,)
        assert ledger.execute("SELECT count(*) FROM verdicts WHERE reason IS NULL").fetchone() == (3,)
    assert examine(str(judged)).faults == ()
    again = sciexam("store", "forget", "annotator-1", "--yes")
    assert "annotator-1 is forgotten; 3 judgements were deleted" in again.stderr
    assert "what stays: the pseudonym with that number; reports" in again.stderr
    with closing(sqlite3.connect(judged)) as ledger:
        assert ledger.execute("SELECT count(*) FROM verdicts").fetchone() == (3,)


def test_an_answer_that_a_forgotten_person_wrote_goes_with_its_judgement(ledger: str, tmp_path: Path) -> None:
    with Store(ledger) as store:
        queue = queue_of(tmp_path, store, prompts=3, task="demonstrations", overlap=1)
        desk, ann = Desk(store, queue), store.annotators.add("Ann", until(1))
        for choice in ("edit", "accept", "edit"):
            item = desk.next(ann)
            assert item is not None
            text = {"text": "Ann's own words"} if choice == "edit" else {}
            desk.judge(ann, item, 0, {"choice": choice, "comment": "hm", **text})
        assert store.annotators.forget(ann.id, keep_judgements=True) == 2
        assert [(one.choice, one.body) for one in store.annotations.judgements(queue.id)] == [("accept", "{}")]
        assert [one.choice for one in store.annotations.assignments(queue.id)] == ["accept"]
    assert examine(ledger).faults == ()


def test_forgetting_is_asked_for_unless_it_is_said(sciexam: Cli, judged: Path) -> None:
    done = sciexam("store", "forget", "Ann")
    assert (done.returncode, "nothing was deleted; --yes answers" in done.stderr) == (2, True)
    with Store(judged) as store:
        assert store.annotators.all()[0].name == "Ann"
