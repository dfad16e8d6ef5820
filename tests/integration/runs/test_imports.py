"""What a run does not use, it does not import: the first test begins sooner."""

from __future__ import annotations

import os
from importlib.util import find_spec

from projects import Project
from pytest_slipstream.databases.servers.postgresql_binaries import find_binaries

UNUSED = frozenset(
    (
        "pytest_slipstream.cli",
        "pytest_slipstream.databases.engines.mysql",
        "pytest_slipstream.databases.engines.postgresql.connections",
        "pytest_slipstream.databases.engines.postgresql.content",
        "pytest_slipstream.databases.engines.postgresql.script",
        "pytest_slipstream.databases.engines.sqlite",
        "pytest_slipstream.databases.lanes.hooks",
        "pytest_slipstream.databases.lanes.peewee_databases",
        "pytest_slipstream.databases.lanes.sqlalchemy_engines",
        "pytest_slipstream.databases.routing.drivers.psycopg_async_joined",
        "pytest_slipstream.databases.routing.drivers.psycopg_joined",
        "pytest_slipstream.databases.routing.drivers.psycopg_routed",
        "pytest_slipstream.databases.routing.drivers.psycopg_sync_joined",
        "pytest_slipstream.databases.routing.peewee_databases",
        "pytest_slipstream.databases.routing.physical",
        "pytest_slipstream.databases.routing.sqlalchemy_pools",
        "pytest_slipstream.databases.routing.statements",
        "pytest_slipstream.databases.routing.transactions",
        "pytest_slipstream.databases.sources.apply",
        "pytest_slipstream.databases.sources.redirect",
        "pytest_slipstream.running.sharding",
        "pytest_slipstream.scheduling.shards",
        "rich",
        "sqlalchemy",
        "typer",
    )
)
TESTS = """
    import sys

    def test_it(db_url):
        with open("imported", "w") as file:
            file.write(" ".join(sys.modules))
"""


def test_a_run_that_builds_nothing_imports_what_it_uses(postgresql_project: Project) -> None:
    assert {name for name in UNUSED if find_spec(name) is None} == set()
    for _ in range(2):  # the first one may build the template
        postgresql_project.run("-p", "no:xdist", tests=TESTS).assert_outcomes(passed=1)
    imported = (postgresql_project.path / "imported").read_text().split()
    assert UNUSED.intersection(imported) == set()
    if find_binaries(os.environ).libpq is not None:
        assert "psycopg" not in imported
