"""A ledger on a PostgreSQL server: what is said where it cannot be used, and what a server that goes away costs."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from conftest import Cli
from postgres import GUARDED, Cluster, eventually, raw
from sciexam.errors import StoreError, UsageError
from sciexam.store import Store, is_there
from sciexam.types import Reply, Verdict

SECRET = "correct-horse-battery"


def key(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def reply(name: object) -> Reply:
    return Reply(key(name), f"text {name}", raw=b"{}", model="m")


# ---------------------------------------------------------------- opening


def test_many_that_open_an_empty_database_at_once_make_its_tables_once(postgresql: str) -> None:
    assert not is_there(postgresql)

    def opened(number: int) -> str:
        with Store(postgresql) as one:
            one.append([reply(number)])
            return one.seal(key("x"))

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(opened, range(6)))) == 1, "one ledger, and one secret"
    assert is_there(postgresql)
    with Store(postgresql) as store:
        assert len(store.replies([key(number) for number in range(6)])) == 6


def test_a_password_in_an_address_is_refused_and_not_repeated(sciexam: Cli) -> None:
    for url in (f"postgresql://me:{SECRET}@host/db", f"postgres://me@host/db?password={SECRET}"):
        with pytest.raises(UsageError, match=r"PGPASSWORD or ~/\.pgpass") as refused:
            Store(url)
        assert SECRET not in str(refused.value)
    done = sciexam("agree", "base", "sft", "--store", url)
    assert done.returncode == 2
    assert "PGPASSWORD or ~/.pgpass" in done.stderr
    assert SECRET not in done.stdout + done.stderr


def test_a_role_with_a_password_gets_in_by_the_environment(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    name = cluster.create()
    cluster.execute(f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{SECRET}'")
    cluster.execute(f"ALTER DATABASE {name} OWNER TO {GUARDED}")
    url = cluster.url(name, GUARDED)
    with pytest.raises(StoreError, match=r"does not let you in .*PGPASSWORD"):
        Store(url)
    monkeypatch.setenv("PGPASSWORD", "wrong-" + SECRET)
    with pytest.raises(StoreError, match="does not let you in") as refused:
        Store(url)
    assert SECRET not in str(refused.value)
    monkeypatch.setenv("PGPASSWORD", SECRET)
    with Store(url) as store:
        store.append([reply(1)])
    assert all(SECRET not in str(row) for row in raw(url, "SELECT * FROM texts"))


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("postgresql://me@127.0.0.1:1/db", r"the server is away \(.*refused"),
        ("postgresql://me@/db?host=/nowhere", r"the server is away \(.*No such file"),
        ("postgresql://me@host:nonsense/db", r"no address of a database"),
    ],
)
def test_a_server_that_is_not_there_is_one_line(sciexam: Cli, place: str, message: str) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises((StoreError, UsageError), match=message) as said:
        Store(place)
    assert "\n" not in str(said.value)
    if "refused" in message:
        done = sciexam("agree", "base", "sft", "--store", place)
        assert (done.returncode, done.stderr.count("\n")) == (5, 1)


def test_a_database_that_is_not_there_is_said(cluster: Cluster) -> None:
    with pytest.raises(StoreError, match=r"no such database or role \(.*\"nowhere\".*createdb"):
        Store(cluster.url("nowhere"))


def test_without_psycopg_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None; from sciexam.store import Store; Store('postgresql://me@host/db')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "UsageError: --store: a ledger in PostgreSQL needs psycopg: pip install 'sciexam[postgres]'" in done.stderr


def test_a_database_of_something_else_is_left_alone(postgresql: str) -> None:
    raw(postgresql, "CREATE TABLE runs (mine integer)")
    with pytest.raises(
        StoreError, match=r"no ledger.*\(runs\)\. Nothing was touched; a ledger needs a database of its own"
    ):
        Store(postgresql)
    assert raw(postgresql, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(1,)]


def test_a_ledger_of_a_newer_sciexam_is_left_alone(postgresql: str) -> None:
    Store(postgresql).close()
    raw(postgresql, "UPDATE meta SET value = '99' WHERE name = 'version'")
    with pytest.raises(StoreError, match=r"store version 99; this one reads up to \d+\)\. Nothing was touched"):
        Store(postgresql)


def test_a_role_without_rights_is_told_so_and_one_that_may_read_reads(cluster: Cluster, postgresql: str) -> None:
    cluster.execute("DROP ROLE IF EXISTS reader")
    cluster.execute("CREATE ROLE reader LOGIN")
    theirs = postgresql.replace("sciexam@", "reader@")
    with pytest.raises(
        StoreError, match=r"may not be changed by you \(permission denied for schema public.*ask its owner"
    ):
        Store(theirs)
    with Store(postgresql) as mine:
        mine.append([reply(1)])
    raw(postgresql, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    with Store(theirs) as store:
        assert store.replies([key(1)])[key(1)].text == "text 1"
        with pytest.raises(StoreError, match=r"may not be changed by you \(permission denied for table"):
            store.append([reply(2)])
    raw(postgresql, "DROP OWNED BY reader")


def test_facts_can_not_be_truncated_either(postgresql: str) -> None:
    Store(postgresql).close()
    with pytest.raises(Exception, match="append-only"):
        raw(postgresql, "TRUNCATE replies")


def test_a_commit_is_on_the_disk_whatever_the_server_is_set_to(cluster: Cluster, postgresql: str) -> None:
    cluster.execute(
        f"ALTER ROLE sciexam IN DATABASE {postgresql.split('/')[3].split('?')[0]} SET synchronous_commit = off"
    )
    with Store(postgresql) as store, store.database.writing() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"


# ---------------------------------------------------------------- what the server refuses


def test_a_full_disk_is_said_and_what_was_acknowledged_is_safe(postgresql: str) -> None:
    with Store(postgresql) as store:
        store.append([reply(1)])
        raw(  # the server's own error, raised where its disk would raise it
            postgresql,
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION "
            "'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$",
        )
        raw(postgresql, "CREATE TRIGGER full_disk BEFORE INSERT ON texts EXECUTE FUNCTION full_disk()")
        with pytest.raises(StoreError, match=r"no space left.*reported as stored is safe; make room and go on"):
            store.append([reply(2)])
        raw(postgresql, "DROP TRIGGER full_disk ON texts")
        store.append([reply(3)])
        assert store.replies([key(n) for n in (1, 2, 3)]).keys() == {key(1), key(3)}


def test_who_waits_too_long_for_another_writer_is_told_so(postgresql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from sciexam.store import postgresql as module

    monkeypatch.setitem(module.SESSION, "lock_timeout", "200ms")
    with Store(postgresql) as one, Store(postgresql) as other, one.database.writing():  # noqa: SIM117
        with pytest.raises(StoreError, match="another process holds it for more than 30 s"):
            other.append([reply(1)])


def test_writers_at_once_number_the_attempts_without_a_gap(postgresql: str) -> None:
    keys = [key(number) for number in range(40)]

    def write(number: int) -> None:
        with Store(postgresql) as store:
            for _ in range(5):
                said = [Verdict(one, "p", "a", "b", f"r{number}", subject=key("s"), preferred="tie") for one in keys]
                store.append(said if number % 2 else said[::-1])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    found = raw(postgresql, "SELECT array_agg(attempt ORDER BY seq) FROM verdicts GROUP BY key")
    assert found == [(list(range(20)),)] * 40


# ---------------------------------------------------------------- the server goes away


class Proxy:
    """Passes everything on to the server at `url`, but for so many next commits as `cuts` says.

    `before`: the server never gets them. Otherwise it does, and the client never gets the answer.
    """

    def __init__(self, url: str, before: bool):
        self._folder = tempfile.TemporaryDirectory(prefix="sciexam-proxy-")
        _, _, self._place = url.partition("?host=")
        self.url, self.before, self.cuts = url.replace(self._place, self._folder.name), before, 0
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(f"{self._folder.name}/.s.PGSQL.5432")
        self._socket.listen(20)
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def _serve(self) -> None:
        while True:
            client, _ = self._socket.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{self._place}/.s.PGSQL.5432")
            mute = threading.Event()
            for source, target in ((client, server), (server, client)):
                threading.Thread(
                    target=self._pass_on, args=(source, target, source is client, mute), daemon=True
                ).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, asks: bool, mute: threading.Event) -> None:
        with suppress(OSError):
            while (block := source.recv(65536)) and not (mute.is_set() and not asks):
                if asks and self.cuts and b"COMMIT\0" in block:
                    self.cuts -= 1
                    mute.set()
                    if not self.before:
                        target.sendall(block)
                    break
                target.sendall(block)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_WR if end is target and asks else socket.SHUT_RDWR)


@pytest.mark.parametrize("before", [True, False], ids=["not made", "made"])
def test_a_commit_without_an_answer_is_made_once(postgresql: str, before: bool) -> None:
    with Proxy(postgresql, before) as proxy, Store(proxy.url) as store:
        store.append([reply("warm")])
        for number in range(6):
            proxy.cuts = 1 + number % 2
            store.append([reply((number, one)) for one in range(20)])
            assert proxy.cuts == 0, "the commit was really cut off"
            proxy.cuts = 1
            wanted = [key((number, one)) for one in range(20, 30)]
            assert store.claim(wanted) == set(wanted), "and a claim that was made is known to be ours"
            assert store.claim(wanted) == set()
            proxy.cuts = 1
            store.release(wanted[:5])
            assert store.claim(wanted) == set(wanted[:5])
    assert raw(postgresql, "SELECT count(*), count(DISTINCT key), max(attempt) FROM replies") == [(121, 121, 0)]
    assert raw(postgresql, "SELECT count(*) FROM claims") == [(0,)]


def test_sessions_that_are_ended_cost_nothing_and_claims_stay(cluster: Cluster, postgresql: str) -> None:
    database = postgresql.split("/")[3].split("?")[0]
    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
    told: list[str] = []
    with Store(postgresql) as store, Store(postgresql) as other:
        assert store.claim([key("mine")]) == {key("mine")}
        with store.writer(lambda facts: told.extend(fact.key for fact in facts)) as writer:
            for number in range(300):
                writer.put(reply(number))
                if number % 50 == 25:
                    cluster.execute(end)
                    assert other.claim([key("mine")]) == set(), "its process is alive"
                    assert len(store.replies([key(0)])) == 1
        assert sorted(told) == sorted(key(number) for number in range(300))
        assert eventually(lambda: other.workers() == 1)
        time.sleep(2.5)  # longer than a process may be without its lock
        assert other.claim([key("mine")]) == set()
    assert raw(postgresql, "SELECT count(*), count(DISTINCT key), max(attempt) FROM replies") == [(300, 300, 0)]


@pytest.mark.slow
def test_a_pass_over_many_verdicts_takes_no_memory_for_each(postgresql: str) -> None:
    """The driver would hold 46 MiB of these rows at once; what is kept is a few arrays of one number a key."""
    Store(postgresql).close()
    raw(
        postgresql,
        "INSERT INTO verdicts (key, subject, attempt, status, rater, kind, prompt, first, second, repeat, preferred,"
        " at) SELECT sha256(i::text::bytea), sha256('s'), 0, 0, 1, 0, 1, 2, 3, 0, 1, 0 "
        "FROM generate_series(1, 600000) i",
    )
    code = """
        import resource, sys
        import numpy as np
        from sciexam.store import Store
        from sciexam.store.columns import Wanted
        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        keys = np.random.default_rng(1).integers(0, 256, (100_000, 32), dtype=np.uint8)  # enough for a whole pass
        with Store(sys.argv[1]) as store:
            wanted = Wanted(keys)
            store.columns.verdicts(Wanted(keys[:1]))
            before = peak()
            found = store.columns.verdicts(wanted)
        print(peak() - before, (found.status == -1).all())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), postgresql], capture_output=True, text=True, check=True
    )
    grown, none = done.stdout.split()
    assert none == "True"
    assert float(grown) < 20, "MiB"


def test_a_forgotten_name_is_in_no_file_of_the_tables(cluster: Cluster, postgresql: str) -> None:
    name = "Ann-Kathrin Unverwechselbar"
    with Store(postgresql) as store:
        ann = store.annotators.add(name, 10**15)
        cluster.execute("CHECKPOINT")
        assert name in files_of(cluster)
        store.annotators.forget(ann.id)
    cluster.execute("CHECKPOINT")
    assert name not in files_of(cluster)


def files_of(cluster: Cluster) -> str:
    """Everything in the tables of the server, as it lies on the disk."""
    files = (cluster.folder / "data" / "base").rglob("*")
    return "".join(path.read_bytes().decode("latin-1") for path in files if path.is_file())


def test_what_is_not_yet_overwritten_is_said(cluster: Cluster, postgresql: str) -> None:
    cluster.execute("DROP ROLE IF EXISTS writer")
    cluster.execute("CREATE ROLE writer LOGIN")
    with Store(postgresql) as mine:
        ann = mine.annotators.add("Ann", 10**15)
    raw(postgresql, "GRANT ALL ON ALL TABLES IN SCHEMA public TO writer")
    with Store(postgresql.replace("sciexam@", "writer@")) as theirs:
        with pytest.raises(StoreError, match=r"deleted, but .* until `VACUUM \(FULL\) texts, .*`\. Only who owns"):
            theirs.annotators.forget(ann.id)
        assert theirs.annotators.all()[0].name is None
    raw(postgresql, "DROP OWNED BY writer")
