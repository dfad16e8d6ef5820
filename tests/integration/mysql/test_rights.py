"""A server that the user runs, by its URL, and accounts that may do less than all."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from pytest_slipstream.databases import naming, urls
from pytest_slipstream.databases.engines import load
from pytest_slipstream.databases.engines.protocol import Engine, Owner
from pytest_slipstream.databases.servers.mysql_binaries import find_binaries
from pytest_slipstream.errors import ServerError
from pytest_slipstream.settings import DatabaseSettings

OURS = "`slipstream\\_%`.*"


def as_account(engine: Engine, cache_dir: Path, account: str, *grants: str) -> Engine:
    """The embedded server as an external one, for an account with these rights."""
    address = engine.address("mysql")
    with closing(engine.connect(address)) as connection:
        cursor = connection.cursor()
        cursor.execute(f"CREATE USER IF NOT EXISTS {account}@localhost")
        for grant in grants:
            cursor.execute(f"GRANT {grant} TO {account}@localhost")
    url = urls.url(engine.address(""), "").replace("slipstream@", f"{account}@", 1)
    settings = DatabaseSettings(engine="mysql", server=url)
    owner = Owner(testrun_uid=f"few-{account}", worker="main")
    return load("few", settings, cache_dir=cache_dir, owner=owner)


@pytest.mark.parametrize(
    "sights", [(), ("PROCESS ON *.*",), ("PROCESS ON *.*", "SELECT ON performance_schema.*")]
)
def test_an_external_server(engine: Engine, short_path: Path, sights: tuple[str, ...]) -> None:
    may_see = bool(sights)
    grants = [f"ALL PRIVILEGES ON {OURS}", *sights]
    few = as_account(engine, short_path, f"sees_{len(sights)}", *grants)
    info = few.open(lambda message: None)
    assert not info.started
    assert info.identity.startswith("external ")
    for isolation in ("reset", "rollback"):
        problem = few.unavailable(isolation)
        assert problem is None if may_see else "lacks the right PROCESS" in str(problem)
    assert few.unavailable("clone") is None
    digest = str(len(sights)) * 16  # of its own: other workers use the server, too
    template = naming.template_name("few", digest)
    with few.build_lock(template):
        script = "CREATE TABLE t (a int); INSERT INTO t VALUES (1);"
        few.run_script(few.begin_build(template), script)
        few.publish(template, "few", digest)
    slot = few.create_slot(naming.slot_name(digest, "main", "few"), template)
    before = slot.digest()
    few.run_script(slot.address, "INSERT INTO t VALUES (2); CREATE TABLE u (a int);")
    cleaning = slot.clean()
    assert cleaning.ddl == ("table u",) if may_see else cleaning.cannot
    slot.replace()
    assert slot.digest() == before
    if may_see:
        few.run_script(slot.address, "INSERT INTO t VALUES (2); TRUNCATE t;")
        assert slot.clean().cannot is None
        assert slot.digest() == before
    slot.close()
    few.close()


def test_an_account_without_databases(engine: Engine, short_path: Path) -> None:
    few = as_account(engine, short_path, "poor")
    with pytest.raises(ServerError, match="'poor'@'localhost' may not create databases") as raised:
        few.open(lambda message: None)
    assert "GRANT ALL PRIVILEGES" in str(raised.value.hint)
    few.close()


def test_a_server_that_counts_nothing_is_compared_as_a_whole(
    engine: Engine, short_path: Path
) -> None:
    flavour = find_binaries(os.environ).flavour
    counting = {"mariadb": "userstat", "mysql": "performance_schema"}[flavour]
    settings = DatabaseSettings(engine="mysql", server_options={counting: "OFF"})
    owner = Owner(testrun_uid="uncounted", worker="main")
    own = load("own", settings, cache_dir=short_path, owner=owner)
    own.open(lambda message: None)
    account = "counted_out"
    with closing(own.connect(own.address("mysql"))) as connection:
        cursor = connection.cursor()
        if flavour == "mariadb":  # slipstream has switched it on again
            cursor.execute("SET GLOBAL userstat = OFF")
        cursor.execute(f"CREATE USER {account}@localhost")
        for grant in (f"ALL PRIVILEGES ON {OURS}", "PROCESS ON *.*"):
            cursor.execute(f"GRANT {grant} TO {account}@localhost")
    url = urls.url(own.address(""), "").replace("slipstream@", f"{account}@", 1)
    said: list[str] = []
    few = load(
        "few", DatabaseSettings(engine="mysql", server=url), cache_dir=short_path, owner=owner
    )
    few.open(said.append)
    assert "the server counts no writes, so slots are compared as a whole" in said
    assert few.unavailable("reset") is None
    template = naming.template_name("few", "1" * 16)
    schema = "CREATE TABLE t (a int AUTO_INCREMENT PRIMARY KEY); INSERT INTO t VALUES (1);"
    few.run_script(few.begin_build(template), schema + "CREATE TABLE u (a int);")
    few.publish(template, "few", "1" * 16)
    slot = few.create_slot(naming.slot_name("uncounted", "main", "few"), template)
    before = slot.digest()
    assert slot.clean().tables == ()
    few.run_script(slot.address, "INSERT INTO t VALUES (2);")
    assert slot.touched() == ("few.t",)
    assert slot.clean().tables == ("few.t",)
    assert slot.digest() == before
    few.run_script(slot.address, "DROP TABLE u;")
    assert slot.clean().ddl == ("table u",)
    slot.replace()
    assert slot.digest() == before
    slot.close()
    few.close()
    own.close()
