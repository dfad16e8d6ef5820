"""What only SQLite can get into: files that go away, write-ahead logs, memory that is shared."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import uuid
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from pytest_slipstream.databases import engines, naming
from pytest_slipstream.databases.engines.protocol import Cleaning, Engine, Owner, Slot
from pytest_slipstream.databases.engines.sqlite import places
from pytest_slipstream.errors import (
    ConfigurationError,
    IsolationError,
    ServerError,
    TemplateError,
)
from pytest_slipstream.settings import DatabaseSettings

OWNER = Owner(testrun_uid="0f" * 16, worker="main")
SLOT = naming.slot_name(OWNER.testrun_uid, OWNER.worker, "main")
TEMPLATE = naming.template_name("main", "ab" * 32)
SCHEMA = "CREATE TABLE a (b INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO a VALUES (1), (2);"
Open = Callable[..., Engine]


@pytest.fixture
def open_engine(tmp_path: Path) -> Generator[Open, None, None]:
    """Opens engines with a cache of this test's own."""
    opened: list[Engine] = []

    def run(*, memory: bool = False, owner: Owner = OWNER) -> Engine:
        settings = DatabaseSettings(engine="sqlite", memory=memory)
        engine = engines.load("main", settings, cache_dir=tmp_path, owner=owner)
        engine.open(lambda message: None)
        opened.append(engine)
        return engine

    yield run
    for engine in opened:
        engine.close()


def make_slot(engine: Engine, script: str = SCHEMA) -> Slot:
    """A slot from a template that `script` made."""
    with engine.build_lock(TEMPLATE):
        engine.run_script(engine.begin_build(TEMPLATE), script)
        engine.publish(TEMPLATE, "main", "ab" * 32)
    return engine.create_slot(SLOT, TEMPLATE)


def rows(slot: Slot) -> list[int]:
    is_uri = slot.address.path.startswith("file:")
    with closing(sqlite3.connect(slot.address.path, uri=is_uri)) as connection:
        return [row[0] for row in connection.execute("SELECT b FROM a ORDER BY b")]


@pytest.mark.parametrize("script", [f"PRAGMA journal_mode = WAL; {SCHEMA}", SCHEMA])
def test_a_write_ahead_log_stays_and_does_not_grow(open_engine: Open, script: str) -> None:
    slot = make_slot(open_engine(), script)
    with closing(sqlite3.connect(slot.address.path)) as connection:
        assert connection.execute("PRAGMA journal_mode = WAL").fetchall() == [("wal",)]
        for _ in range(50):
            connection.execute("INSERT INTO a SELECT NULL FROM a, a AS b, a AS c")
            connection.commit()
            assert slot.clean().cannot is None
            assert rows(slot) == [1, 2]
        file = Path(slot.address.path).resolve()
        assert file.with_name(f"{file.name}-wal").stat().st_size < 100_000
        assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
    slot.close()


def test_an_old_reader_of_a_write_ahead_log_is_ended(open_engine: Open) -> None:
    slot = make_slot(open_engine(), f"PRAGMA journal_mode = WAL; {SCHEMA}")
    with closing(sqlite3.connect(slot.address.path)) as reader:
        reader.execute("BEGIN")
        assert len(reader.execute("SELECT * FROM a").fetchall()) == 2
        with closing(sqlite3.connect(slot.address.path)) as writer:
            writer.execute("DELETE FROM a")
            writer.commit()
        cleaning = slot.clean()
        assert cleaning.cannot is None
        assert [leftover.kind for leftover in cleaning.leftovers] == ["transaction"]
        assert not reader.in_transaction
    slot.close()


@pytest.mark.parametrize("damage", ["removed", "replaced", "overwritten"])
def test_a_damaged_file_is_made_anew(open_engine: Open, damage: str) -> None:
    slot = make_slot(open_engine())
    path = Path(slot.address.path)
    if damage == "overwritten":
        path.write_bytes(b"not a database" * 1000)
    else:
        path.unlink()
    if damage == "replaced":
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE other (c)")
    assert slot.clean().cannot is not None
    slot.replace()
    assert rows(slot) == [1, 2]
    assert slot.clean().cannot is None
    slot.close()


@pytest.mark.parametrize("of_link", [True, False], ids=["of the link", "of the file"])
def test_a_directory_that_was_removed_is_made_anew(open_engine: Open, *, of_link: bool) -> None:
    engine = open_engine()
    slot = make_slot(engine)
    link = Path(slot.address.path)
    shutil.rmtree((link if of_link else link.resolve()).parent)
    assert slot.clean().cannot == "its file was removed"
    slot.replace()
    assert rows(slot) == [1, 2]
    with closing(sqlite3.connect(slot.address.path)) as connection:
        connection.execute("DELETE FROM a")
        connection.commit()
    assert slot.clean().cannot is None
    assert rows(slot) == [1, 2]
    open_engine(owner=Owner(testrun_uid=uuid.uuid4().hex, worker="main"))  # it removes the dead
    assert rows(slot) == [1, 2]
    slot.close()


@pytest.mark.parametrize("memory", [False, True])
def test_a_connection_of_another_thread_follows_a_replacement(
    open_engine: Open, *, memory: bool
) -> None:
    slot = make_slot(open_engine(memory=memory))
    with ThreadPoolExecutor(1) as thread:
        connection = thread.submit(sqlite3.connect, slot.address.path, uri=memory).result()

        def run(sql: str) -> list[tuple[int]]:
            with connection:
                return connection.execute(sql).fetchall()

        thread.submit(run, "INSERT INTO a VALUES (3)").result()
        slot.replace()
        assert thread.submit(run, "SELECT b FROM a").result() == [(1,), (2,)]
        thread.submit(run, "INSERT INTO a VALUES (4)").result()
        assert rows(slot) == [1, 2, 4]
        assert slot.clean().cannot is None
        assert rows(slot) == [1, 2]
        thread.submit(connection.close).result()
    slot.close()


def test_a_transaction_of_a_wider_fixture_stays(open_engine: Open) -> None:
    slot = make_slot(open_engine())
    with closing(sqlite3.connect(slot.address.path)) as wider:
        wider.execute("INSERT INTO a VALUES (3)")
        assert slot.push_layer() == ()
        for _ in range(2):
            assert slot.clean() == Cleaning()
            assert wider.execute("SELECT max(b) FROM a").fetchall() == [(3,)]
        wider.execute("INSERT INTO a VALUES (4)")
        assert [each.kind for each in slot.clean().leftovers] == ["transaction"]
        assert not wider.in_transaction
        assert slot.clean() == Cleaning()
    slot.close()


def test_a_transaction_of_a_wider_fixture_goes_when_it_is_in_the_way(open_engine: Open) -> None:
    slot = make_slot(open_engine(), f"PRAGMA journal_mode = WAL; {SCHEMA}")
    with (
        closing(sqlite3.connect(slot.address.path)) as wider,
        closing(sqlite3.connect(slot.address.path)) as test,
    ):
        wider.execute("INSERT INTO a VALUES (3)")
        slot.push_layer()
        wider.commit()
        wider.execute("INSERT INTO a VALUES (4)")
        test.execute("BEGIN")
        assert slot.clean().leftovers
        assert not wider.in_transaction
        assert rows(slot) == [1, 2]
    slot.close()


def test_only_the_transaction_of_the_test_is_ended(open_engine: Open) -> None:
    slot = make_slot(open_engine())
    with (
        closing(sqlite3.connect(slot.address.path)) as wider,
        closing(sqlite3.connect(slot.address.path)) as test,
    ):
        wider.execute("INSERT INTO a VALUES (3)")
        slot.push_layer()
        test.execute("BEGIN")
        test.execute("SELECT * FROM a").fetchall()
        assert len(slot.clean().leftovers) == 1
        assert (wider.in_transaction, test.in_transaction) == (True, False)
    slot.close()


def test_full_text_is_found_after_a_lower_layer_went(open_engine: Open) -> None:
    slot = make_slot(open_engine(), "CREATE VIRTUAL TABLE words USING fts5(text)")
    with closing(sqlite3.connect(slot.address.path)) as connection:
        for text in ("lower fox", "upper fox"):
            connection.execute("INSERT INTO words VALUES (?)", (text,))
            connection.commit()
            slot.push_layer()
        slot.pop_layer(1)
        found = connection.execute("SELECT text FROM words WHERE words MATCH 'fox'").fetchall()
        assert found == [("upper fox",)]
    slot.close()


def test_without_a_ram_disk_slots_are_in_the_cache(
    open_engine: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "_RAM_DISK", tmp_path / "there is none")
    slot = make_slot(open_engine())
    assert Path(slot.address.path).resolve().is_relative_to(tmp_path.resolve())
    slot.close()


def test_a_full_ram_disk_is_not_used(
    open_engine: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "_ROOM_TO_WRITE_BYTES", 2**60)
    slot = make_slot(open_engine())
    assert Path(slot.address.path).resolve().is_relative_to(tmp_path.resolve())
    slot.close()


def test_nothing_of_a_closed_engine_remains(open_engine: Open, tmp_path: Path) -> None:
    engine = open_engine()
    slot = make_slot(engine)
    file = Path(slot.address.path).resolve()
    slot.push_layer()
    engine.close()
    assert not file.exists()
    assert list((tmp_path / "sqlite" / "slots").iterdir()) == []
    engine.open(lambda message: None)
    slot.close()


def test_memory_that_another_thread_holds_is_an_error_that_says_so(open_engine: Open) -> None:
    slot = make_slot(open_engine(memory=True))
    opened, done = threading.Event(), threading.Event()

    def leave_open() -> None:
        with closing(sqlite3.connect(slot.address.path, uri=True)) as connection:
            connection.execute("DELETE FROM a")
            opened.set()
            done.wait(60)

    thread = threading.Thread(target=leave_open)
    thread.start()
    assert opened.wait(30)
    cannot = slot.clean().cannot
    with pytest.raises(IsolationError, match=r"set memory = false"):
        slot.replace()
    done.set()
    thread.join()
    assert cannot is not None
    assert "1 connection is in a transaction in other threads" in cannot
    assert slot.clean().cannot is None
    assert rows(slot) == [1, 2]
    slot.close()


def test_memory_from_a_template_with_a_write_ahead_log(open_engine: Open) -> None:
    slot = make_slot(open_engine(memory=True), f"PRAGMA journal_mode = WAL; {SCHEMA}")
    assert rows(slot) == [1, 2]
    slot.close()


def test_memory_needs_a_newer_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 35, 5))
    settings = DatabaseSettings(engine="sqlite", memory=True)
    with pytest.raises(ConfigurationError, match=r"hint: set memory = false"):
        engines.load("main", settings, cache_dir=tmp_path, owner=OWNER)


def test_a_seed_that_leaves_its_transaction_open_is_an_error(open_engine: Open) -> None:
    engine = open_engine()
    with engine.build_lock(TEMPLATE):
        address = engine.begin_build(TEMPLATE)
        engine.run_script(address, SCHEMA)
        with closing(engine.connect(address)) as connection:
            connection.execute("INSERT INTO a VALUES (3)")
            with pytest.raises(TemplateError, match="commit and close every connection"):
                engine.publish(TEMPLATE, "main", "ab" * 32)
        engine.abandon_build(TEMPLATE)
    assert not engine.has_template(TEMPLATE)


def test_two_processes_cannot_be_the_same_owner(open_engine: Open, tmp_path: Path) -> None:
    open_engine()
    other = engines.load("main", DatabaseSettings(engine="sqlite"), cache_dir=tmp_path, owner=OWNER)
    with pytest.raises(ServerError, match="belong to another process"):
        other.open(lambda message: None)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "sqlite").write_text("a file where a directory must be")
    engine = engines.load(
        "main", DatabaseSettings(engine="sqlite"), cache_dir=tmp_path, owner=OWNER
    )
    with pytest.raises(ServerError, match=r"hint: name a directory that you may write in"):
        engine.open(lambda message: None)


def test_a_template_that_is_not_there_is_named(open_engine: Open) -> None:
    with pytest.raises(TemplateError, match=TEMPLATE):
        open_engine().create_slot(SLOT, TEMPLATE)


def test_a_dead_build_is_removed_by_the_next_run(open_engine: Open, tmp_path: Path) -> None:
    engine = open_engine()
    engine.run_script(engine.begin_build(TEMPLATE), SCHEMA)
    (left,) = (tmp_path / "sqlite" / "templates").glob("*.db")
    open_engine(owner=Owner(testrun_uid=uuid.uuid4().hex, worker="main"))
    assert not left.exists()
