"""A role without superuser rights, on a server that the user runs."""

from __future__ import annotations

import psycopg
import pytest

from pytest_slipstream.databases import naming, urls
from pytest_slipstream.databases.engines import load
from pytest_slipstream.databases.engines.postgresql.engine import PostgresqlEngine
from pytest_slipstream.databases.engines.protocol import Engine, Owner
from pytest_slipstream.errors import ServerError
from pytest_slipstream.settings import DatabaseSettings


def _as_role(engine: Engine, short_path: object, role: str, rights: str) -> Engine:
    address = engine.address("postgres")
    with engine.connect(address) as connection:
        try:
            connection.execute(f"create role {role} login {rights}")
            connection.commit()
        except psycopg.errors.DuplicateObject:
            connection.rollback()
    url = urls.url(address, "").replace("slipstream@", f"{role}@", 1)
    settings = DatabaseSettings(engine="postgresql", server=url)
    from pathlib import Path

    return load(
        "few",
        settings,
        cache_dir=Path(str(short_path)),
        owner=Owner(testrun_uid=f"few-{role}", worker="main"),
    )


def test_a_role_that_may_only_create_databases_clones(engine: Engine, short_path: object) -> None:
    few = _as_role(engine, short_path, "may_create", "createdb")
    few.open(lambda message: None)
    assert "SUPERUSER" in (few.unavailable("reset") or "")
    assert few.unavailable("clone") is None
    template = naming.template_name("few", "0" * 16)
    few.drop_template(template)
    few.run_script(few.begin_build(template), "create table t (a int); insert into t values (1);")
    few.publish(template, "few", "0" * 16)
    slot = few.create_slot(naming.slot_name("few-may_create", "main", "few"), template)
    before = slot.digest()
    few.run_script(slot.address, "insert into t values (2);")
    assert slot.clean().cannot is not None
    slot.prepare()
    slot.replace()
    assert slot.digest() == before
    assert slot.push_layer() == ()
    few.run_script(slot.address, "insert into t values (2);")
    assert slot.push_layer() == ("public.t",)
    layer = slot.digest()
    few.run_script(slot.address, "drop table t;")
    slot.replace()
    assert slot.digest() == layer
    assert slot.pop_layer().cannot is not None
    slot.replace()
    assert slot.digest() == before
    slot.close()
    assert few.drop_template(template)
    few.close()


def test_a_role_that_may_not_create_databases_is_told_so(
    engine: Engine, short_path: object
) -> None:
    few = _as_role(engine, short_path, "may_nothing", "")
    assert isinstance(few, PostgresqlEngine)
    with pytest.raises(ServerError, match="CREATEDB"):
        few.open(lambda message: None)
