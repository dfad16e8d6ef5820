"""A SQLite file overwritten beneath open connections: what they had in their caches is forgotten.

Each connection stays open over cleanings and has read before, so that what it sees afterwards can
only be right if it noticed. `PRAGMA integrity_check` reads every page.
"""

from __future__ import annotations

import errno
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections.abc import Generator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from pytest_slipstream.databases import engines, naming
from pytest_slipstream.databases.engines.protocol import Owner, Slot
from pytest_slipstream.settings import DatabaseSettings

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SQLite copies the pages there")

OWNER = Owner(testrun_uid=uuid.uuid4().hex, worker="main")
TEMPLATE = naming.template_name("main", "cd" * 32)
ROWS = 300
SCHEMA = f"""
CREATE TABLE a (b INTEGER PRIMARY KEY, c TEXT);
CREATE INDEX a_by_c ON a (c);
WITH RECURSIVE n (b) AS (VALUES (1) UNION ALL SELECT b + 1 FROM n LIMIT {ROWS})
    INSERT INTO a SELECT b, 'the row ' || b || zeroblob(200) FROM n;
CREATE TABLE gone (x); INSERT INTO gone SELECT zeroblob(50000); DROP TABLE gone;
"""
COUNTERS = (range(24, 28), range(40, 44), range(92, 96))
"""The change counter, the schema cookie, and the change counter for which the size is valid."""

SPILLER = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN")
connection.execute("UPDATE a SET c = 'spilled ' || b || zeroblob(900)")
os.kill(os.getpid(), signal.SIGKILL)
"""
READER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(f"PRAGMA mmap_size = {sys.argv[2]}")
for _ in sys.stdin:
    version = connection.execute("PRAGMA data_version").fetchone()[0]
    count, last = connection.execute("SELECT count(*), max(b) FROM a").fetchone()
    problem = connection.execute("PRAGMA integrity_check").fetchone()[0]
    print(version, count, last, problem, flush=True)
"""
LOCKER = """
import sqlite3, sys
try:
    sqlite3.connect(sys.argv[1], timeout=0).execute("BEGIN EXCLUSIVE")
except sqlite3.OperationalError as error:
    print(error)
"""


@pytest.fixture
def slot(tmp_path: Path) -> Generator[Slot, None, None]:
    """A file slot of some hundred rows, with pages on the list of free ones."""
    settings = DatabaseSettings(engine="sqlite")
    engine = engines.load("main", settings, cache_dir=tmp_path, owner=OWNER)
    engine.open(lambda message: None)
    with engine.build_lock(TEMPLATE):
        engine.run_script(engine.begin_build(TEMPLATE), SCHEMA)
        engine.publish(TEMPLATE, "main", "cd" * 32)
    slot = engine.create_slot(naming.slot_name(OWNER.testrun_uid, "main", "main"), TEMPLATE)
    yield slot
    slot.close()
    engine.close()


def connect(slot: Slot) -> sqlite3.Connection:
    return sqlite3.connect(slot.address.path, timeout=0, isolation_level=None)


def clean(slot: Slot) -> None:
    cleaning = slot.clean()
    assert cleaning.cannot is None
    assert cleaning.leftovers == ()


def is_whole(connection: sqlite3.Connection) -> bool:
    found = connection.execute("SELECT count(*), max(b) FROM a").fetchone()
    return found == (ROWS, ROWS) and connection.execute("PRAGMA integrity_check").fetchall() == [
        ("ok",)
    ]


def image(path: Path) -> tuple[bytes, list[int]]:
    """A database file without its counters, and these."""
    content = bytearray(path.read_bytes())
    counters = []
    for field in COUNTERS:
        counters.append(int.from_bytes(content[field.start : field.stop], "big"))
        content[field.start : field.stop] = bytes(len(field))
    return bytes(content), counters


@pytest.mark.parametrize(
    "statements",
    [
        ["DELETE FROM a WHERE b = 7"],
        ["INSERT INTO a SELECT b + 1000, c || c FROM a"],
        ["DELETE FROM a", "VACUUM"],
        ["DROP TABLE a"],
        ["PRAGMA page_size = 16384", "VACUUM"],
        ["PRAGMA page_size = 512", "VACUUM", "DELETE FROM a WHERE b > 9"],
        ["PRAGMA auto_vacuum = FULL", "VACUUM", "DELETE FROM a WHERE b > 9"],
        ["PRAGMA journal_mode = PERSIST", "DELETE FROM a WHERE b > 9"],
        ["PRAGMA journal_mode = TRUNCATE", "UPDATE a SET c = b"],
        ["PRAGMA journal_mode = MEMORY", "UPDATE a SET c = b"],
        ["PRAGMA writable_schema = ON", "DELETE FROM sqlite_master WHERE name = 'a_by_c'"],
    ],
    ids=" ".join,
)
def test_open_connections_see_the_template_again(
    slot: Slot, tmp_path: Path, statements: list[str]
) -> None:
    (template,) = (tmp_path / "sqlite" / "templates").glob("*.db")
    with ExitStack() as stack:
        others = [stack.enter_context(closing(connect(slot))) for _ in range(3)]
        others[1].execute("PRAGMA mmap_size = 100000000")
        for _ in range(3):
            for connection in others:
                assert is_whole(connection)
            versions = [each.execute("PRAGMA data_version").fetchone() for each in others]
            for statement in statements:
                others[0].execute(statement)
            with closing(connect(slot)) as late:
                late.execute("SELECT count(*) FROM sqlite_master").fetchone()
                clean(slot)
                assert is_whole(late)
            now = [each.execute("PRAGMA data_version").fetchone() for each in others]
            assert all(was != version for was, version in zip(versions, now, strict=True))
    assert image(Path(slot.address.path))[0] == image(template)[0]


def test_the_counters_only_ever_go_up(slot: Slot) -> None:
    path, seen = Path(slot.address.path), []
    for number in range(5):
        with closing(connect(slot)) as connection:
            connection.execute(f"CREATE TABLE t{number} (x)")
        clean(slot)
        seen.append(image(path)[1])
    for before, after in itertools.pairwise(seen):
        assert all(was < now for was, now in zip(before, after, strict=True))


def test_definitions_of_an_earlier_test_are_forgotten(slot: Slot) -> None:
    with closing(connect(slot)) as old, closing(connect(slot)) as new:
        old.execute("CREATE TABLE t (x, y)")
        old.execute("INSERT INTO t VALUES (1, 2)")
        clean(slot)
        new.execute("CREATE TABLE other (z)")
        new.execute("CREATE TABLE t (y, x)")
        new.execute("INSERT INTO t VALUES (3, 4)")
        assert old.execute("SELECT x, y FROM t").fetchall() == [(4, 3)]
        clean(slot)
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            old.execute("SELECT x FROM t")


@pytest.mark.parametrize("mmap_size", [0, 100_000_000])
def test_another_process_sees_the_template_again(slot: Slot, mmap_size: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", READER, slot.address.path, str(mmap_size)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None

        def read() -> list[str]:
            assert reader.stdin is not None
            assert reader.stdout is not None
            print(file=reader.stdin, flush=True)
            return reader.stdout.readline().split()

        with closing(connect(slot)) as writer:
            before = read()
            for sql in ("DELETE FROM a WHERE b > 5", "INSERT INTO a SELECT b + 999, c FROM a"):
                writer.execute(sql)
                assert read()[1:] != before[1:]
                clean(slot)
                assert read()[1:] == [str(ROWS), str(ROWS), "ok"]
        reader.stdin.close()


def test_a_journal_of_a_killed_writer_is_not_played_back_later(slot: Slot) -> None:
    file = Path(slot.address.path).resolve()
    with closing(connect(slot)) as connection:
        connection.execute("DELETE FROM a WHERE b > 9")
        killed = subprocess.run([sys.executable, "-c", SPILLER, slot.address.path], check=False)
        assert killed.returncode == -signal.SIGKILL
        assert file.with_name(f"{file.name}-journal").stat().st_size > 0
        clean(slot)
        assert is_whole(connection)
    with closing(connect(slot)) as connection:
        assert is_whole(connection)


def test_cleaning_drops_no_lock_of_this_process(slot: Slot) -> None:
    """POSIX drops a process's locks on a file when it closes any descriptor of that file."""
    opened, done = threading.Event(), threading.Event()
    with closing(connect(slot)) as connection:
        connection.execute("DELETE FROM a")
        clean(slot)

    def hold() -> None:
        with closing(connect(slot)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            opened.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert opened.wait(30)
    cannot = slot.clean().cannot
    found = subprocess.run(
        [sys.executable, "-c", LOCKER, slot.address.path],
        check=True,
        capture_output=True,
        text=True,
    )
    done.set()
    thread.join()
    assert cannot is not None
    assert found.stdout == "database is locked\n"
    clean(slot)


def test_a_file_that_cannot_be_written_is_made_anew(slot: Slot) -> None:
    resource = pytest.importorskip("resource")
    with closing(connect(slot)) as connection:
        connection.execute("DELETE FROM a")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
    try:
        cannot = slot.clean().cannot
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert cannot is not None
    assert cannot.startswith("its file cannot be written: ")
    assert os.strerror(errno.EFBIG) in cannot
    slot.replace()
    with closing(connect(slot)) as connection:
        assert is_whole(connection)
        connection.execute("DELETE FROM a")
        clean(slot)
        assert is_whole(connection)
