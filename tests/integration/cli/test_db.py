"""``slipstream db`` on real servers and files: it shows and removes what is ours, and no more."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from textwrap import dedent

import pytest

from pytest_slipstream.databases import engines, naming, urls
from pytest_slipstream.databases.engines.protocol import Address, Engine, Owner, Slot
from pytest_slipstream.settings import DatabaseSettings

OWNER = Owner(testrun_uid="a", worker="main")
TEMPLATE = naming.template_name("main", "0123456789abcdef")
SLOT = naming.slot_name(OWNER.testrun_uid, OWNER.worker, "main")

# A run that dies in the middle of a test.
KILLED = """
import os, signal
from pathlib import Path
from pytest_slipstream.databases import engines, naming
from pytest_slipstream.databases.engines.protocol import Owner
from pytest_slipstream.settings import DatabaseSettings

settings = DatabaseSettings(engine={engine!r})
owner = Owner(testrun_uid="dead", worker="main")
engine = engines.load("main", settings, cache_dir=Path({cache!r}), owner=owner)
engine.open(lambda message: None)
slot = engine.create_slot(naming.slot_name("dead", "main", "main"), {template!r})
os.kill(os.getpid(), signal.SIGKILL)
"""
DEAD = naming.slot_name("dead", "main", "main")


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def engine(request: pytest.FixtureRequest, cache_dir: Path) -> Iterator[Engine]:
    """An engine with a template, open in this process."""
    if request.param != "sqlite":
        request.getfixturevalue(f"require_{request.param}")
    cache_dir.mkdir(mode=0o755)
    settings = DatabaseSettings(engine=request.param)
    engine = engines.load("main", settings, cache_dir=cache_dir, owner=OWNER)
    engine.open(lambda message: None)
    address = engine.begin_build(TEMPLATE)
    engine.run_script(address, "CREATE TABLE note (text TEXT)")
    engine.publish(TEMPLATE, "main", "0123456789abcdef")
    yield engine
    engine.close()


@pytest.fixture
def slot(engine: Engine) -> Iterator[Slot]:
    """A slot of this process, with a row that a test wrote."""
    slot = engine.create_slot(SLOT, TEMPLATE)
    engine.run_script(slot.address, "INSERT INTO note VALUES ('written by a test')")
    yield slot
    slot.close()


@pytest.fixture
def killed(engine: Engine, cache_dir: Path) -> None:
    """A slot that a killed run left."""
    code = KILLED.format(engine=engine.name, cache=str(cache_dir), template=TEMPLATE)
    subprocess.run([sys.executable, "-c", code], check=False, timeout=60)


def rows(engine: Engine, cache_dir: Path, name: str) -> list[str]:
    """What tests wrote into a kept database."""
    address = engine.address(name)
    if engine.name == "sqlite":
        address = Address(engine="sqlite", database=name, path=f"{cache_dir}/sqlite/kept/{name}.db")
    with closing(engine.connect(address)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT text FROM note")
        return [text for (text,) in cursor.fetchall()]


def test_list_shows_templates_and_slots_dead_and_alive(slot, killed, slipstream):
    done = slipstream("db", "list")
    assert done.returncode == 0, done.stderr
    assert re.search(rf"template \(in use\)\W+{TEMPLATE}", done.stdout)
    assert re.search(rf"slot \(live\)\W+{SLOT} ", done.stdout)
    assert re.search(rf"slot \(orphaned\)\W+{DEAD} ", done.stdout)


def test_prune_drops_the_dead_run_s_slot_and_not_the_live_one_s(slot, killed, slipstream):
    done = slipstream("db", "prune")
    assert done.returncode == 0, done.stderr
    assert f"dropped {DEAD}" in done.stdout
    assert SLOT not in done.stdout
    listed = slipstream("db", "list").stdout
    assert SLOT in listed
    assert DEAD not in listed
    assert slot.clean().cannot is None


def test_a_live_slot_and_its_template_are_not_dropped(slot, slipstream):
    for name in (SLOT, TEMPLATE):
        done = slipstream("db", "drop", name)
        assert done.returncode == 1
        assert f"error: {name} is in use by a run that is still going on" in done.stderr
    assert TEMPLATE in slipstream("db", "list").stdout


def test_a_template_that_nobody_uses_is_dropped(engine, slipstream):
    done = slipstream("db", "drop", TEMPLATE)
    assert done.returncode == 0, done.stderr
    assert not engine.has_template(TEMPLATE)


@pytest.mark.parametrize("name", ["postgres", "template1", "app"])
def test_what_is_not_ours_is_never_dropped(engine, slipstream, name):
    done = slipstream("db", "drop", name)
    assert done.returncode == 1
    assert "is not a database of slipstream's" in done.stderr


def test_an_unknown_name_says_where_was_looked(engine, slipstream):
    done = slipstream("db", "drop", "slipstream_k_nothing")
    assert done.returncode == 1
    assert "there is no database 'slipstream_k_nothing'; looked at SQLite" in done.stderr


def test_the_slot_of_a_dead_run_is_kept_by_name(engine, killed, slipstream, cache_dir):
    done = slipstream("db", "keep", DEAD, "--as", "evidence")
    assert done.returncode == 0, done.stderr
    slipstream("db", "prune")
    assert "slipstream_k_evidence" in slipstream("db", "list").stdout
    assert rows(engine, cache_dir, "slipstream_k_evidence") == []
    done = slipstream("db", "prune", "--kept")
    assert "dropped slipstream_k_evidence" in done.stdout
    assert "slipstream_k_evidence" not in slipstream("db", "list").stdout


def test_a_slot_is_kept_also_while_its_server_is_stopped(engine, killed, slipstream):
    engine.close()
    slipstream("db", "stop")
    done = slipstream("db", "keep", DEAD, "--as", "evidence")
    assert done.returncode == 0, done.stderr
    assert "slipstream_k_evidence" in slipstream("db", "list").stdout


def test_a_live_slot_is_copied_and_refused_by_postgresql(engine, slot, slipstream, cache_dir):
    done = slipstream("db", "keep", SLOT, "--as", "now")
    if engine.name != "postgresql":
        assert done.returncode == 0, done.stderr
        assert rows(engine, cache_dir, "slipstream_k_now") == ["written by a test"]
    else:
        assert done.returncode == 1
        assert "hint: start the run with `--slipstream-keep`" in done.stderr
    assert [table.rpartition(".")[2] for table in slot.touched()] == ["note"]


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_what_a_killed_run_left_on_a_server_that_stopped_since_is_dropped(
    engine, killed, slipstream
):
    engine.close()
    slipstream("db", "stop")
    assert f"dropped {DEAD}" in slipstream("db", "prune").stdout


@pytest.mark.parametrize("engine", ["mysql"], indirect=True)
def test_a_server_without_its_driver_keeps_nothing_else_from_being_shown(
    engine, killed, slipstream, tmp_path
):
    (tmp_path / "pymysql.py").write_text("raise ImportError('it is not here')\n")
    listed = slipstream("db", "list", PYTHONPATH=str(tmp_path))
    assert listed.returncode == 0, listed.stderr
    assert "SQLite" in listed.stdout
    assert re.search(r"note: (MariaDB|MySQL) .* was not looked at: .* PyMySQL", listed.stderr)
    assert "hint: pip install" in listed.stderr


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_list_starts_no_server_that_the_project_does_not_use(engine, slipstream, tmp_path):
    engine.close()
    slipstream("db", "stop")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.slipstream.databases.main]\nengine = "sqlite"\n'
    )
    listed = slipstream("db", "list")
    assert TEMPLATE not in listed.stdout
    assert re.search(r"note: PostgreSQL .* is stopped, and was not looked at", listed.stderr)
    assert slipstream("db", "drop", TEMPLATE).returncode == 0


@pytest.fixture
def shells(tmp_path: Path) -> Callable[[], str]:
    """The products' shells that say how they were called; returns the ``PATH`` to them."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("psql", "sqlite3", "mariadb"):
        program = folder / name
        program.write_text(f'#!/bin/sh\necho "{name} called with $*"\nexit 3\n')
        program.chmod(0o755)
    return lambda: str(folder)


def test_shell_opens_the_database_and_passes_its_exit_code_on(slot, slipstream, shells):
    done = slipstream("db", "shell", SLOT, PATH=shells())
    assert done.returncode == 3
    expected = slot.address.path or f"{slot.address.user} {SLOT}"
    assert re.search(rf"(psql|sqlite3|mariadb) called with .*{re.escape(expected)}", done.stdout)


def test_shell_without_a_program_prints_the_url(slot, slipstream, tmp_path):
    done = slipstream("db", "shell", SLOT, PATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "is not installed" in done.stdout
    assert f"{SLOT}" in done.stdout
    assert "://" in done.stdout


def test_a_server_in_use_is_stopped_only_by_force(engine, slipstream):
    if engine.name == "sqlite":
        assert "no embedded server runs" in slipstream("db", "stop").stdout
        return
    done = slipstream("db", "stop")
    assert done.returncode == 1
    assert "is in use by process" in done.stderr
    assert "hint: wait for those runs to end, or add `--force`" in done.stderr
    done = slipstream("db", "stop", "--force")
    assert done.returncode == 0
    assert re.search("stopped (PostgreSQL|MariaDB|MySQL)", done.stdout)


def test_a_kept_database_is_found_after_its_server_has_stopped(
    require_servers, slipstream, environ, tmp_path
):
    """The failed test's database, by the plugin, opened by the name that the run printed."""
    (tmp_path / "pyproject.toml").write_text(
        dedent("""
            [tool.slipstream.databases.main]
            engine = "postgresql"
            schema = "schema.sql"
        """)
    )
    (tmp_path / "schema.sql").write_text("CREATE TABLE note (text text);\n")
    (tmp_path / "test_note.py").write_text(
        "def test_it_fails(db):\n"
        "    with db.connect() as connection:\n"
        "        connection.execute(\"INSERT INTO note VALUES ('evidence')\")\n"
        "    assert False\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--slipstream-keep"]
    run = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=120
    )
    assert run.returncode == 1, run.stdout
    kept = re.search(r"slipstream_k_main_\w+", run.stdout)
    assert kept, run.stdout
    done = slipstream("db", "shell", PATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert kept[0] in done.stdout
    assert kept[0] in slipstream("db", "list").stdout
    assert slipstream("db", "drop", kept[0]).returncode == 0
    assert kept[0] not in slipstream("db", "list").stdout
    assert "stopped" in slipstream("db", "list").stdout


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_databases_on_the_project_s_external_server(engine, killed, slipstream, tmp_path):
    url = urls.url(engine.address("postgres"), "")
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.slipstream.databases.main]\nengine = "postgresql"\nserver = "{url}"\n'
    )
    elsewhere = {"SLIPSTREAM_CACHE_DIR": str(tmp_path / "other")}
    assert DEAD in slipstream("db", "list", **elsewhere).stdout
    assert f"dropped {DEAD}" in slipstream("db", "prune", **elsewhere).stdout
    (tmp_path / "pyproject.toml").write_text(
        '[tool.slipstream.databases.main]\nengine = "postgresql"\n'
        'server = "postgresql://slipstream@/postgres?host=/nowhere"\n'
    )
    gone = slipstream("db", "list", **elsewhere)
    assert gone.returncode == 1
    assert "error: PostgreSQL at /nowhere" in gone.stderr
    assert "Traceback" not in gone.stderr
