"""What connect calls ask for."""

from __future__ import annotations

import pytest

from pytest_slipstream.databases.embedding.targets import libpq_of_url, of_libpq, server_name


@pytest.mark.parametrize(
    ("engine", "host", "port", "name"),
    [
        ("postgresql", "", None, "localhost:5432"),
        ("postgresql", "/var/run/postgresql", "", "localhost:5432"),
        ("postgresql", "127.0.0.1", "5433", "localhost:5433"),
        ("postgresql", "[::1]", 5433, "localhost:5433"),
        ("mysql", "db", None, "db:3306"),
        ("mysql", "10.0.0.7", 3307, "10.0.0.7:3307"),
    ],
)
def test_one_name_for_a_server(engine: str, host: str, port: object, name: str) -> None:
    assert server_name(engine, host, port) == name


@pytest.mark.parametrize(
    ("url", "found"),
    [
        (
            "postgresql://a:p%40b@db:5433/shop",
            {"user": "a", "password": "p@b", "host": "db", "port": "5433", "dbname": "shop"},
        ),
        ("postgresql://[::1]/shop", {"host": "[::1]", "dbname": "shop"}),
        ("postgresql:///shop?host=/run&user=a", {"host": "/run", "user": "a", "dbname": "shop"}),
        ("postgresql://a@db/?database=shop", {"user": "a", "host": "db", "dbname": "shop"}),
        ("postgresql://one:1,two:2/shop", {"host": "one", "port": "1", "dbname": "shop"}),
    ],
)
def test_parameters_of_a_url(url: str, found: dict[str, str]) -> None:
    parameters = libpq_of_url(url)

    assert {name: parameters[name] for name in found} == found


def test_what_is_not_given_comes_from_the_environment() -> None:
    environ = {"PGHOST": "db", "PGPORT": "5433", "PGUSER": "a", "PGPASSWORD": "p"}

    target = of_libpq({"host": None, "port": ""}, environ)

    assert (target.server, target.user, target.password) == ("db:5433", "a", "p")
    assert target.database == "a"
