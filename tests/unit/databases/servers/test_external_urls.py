"""Server URLs, taken apart."""

from __future__ import annotations

import getpass

import pytest

from pytest_slipstream.databases.servers.postgresql_external import parse_url
from pytest_slipstream.errors import ConfigurationError


def test_whole_url():
    where = parse_url("postgresql+asyncpg://me:p%40ss@db.test:6543/app")
    assert (where.host, where.port, where.user, where.password, where.database) == (
        "db.test",
        6543,
        "me",
        "p@ss",
        "app",
    )


def test_short_url_has_defaults():
    where = parse_url("postgres://")
    assert (where.host, where.port, where.database) == ("localhost", 5432, "postgres")
    assert where.user == getpass.getuser()


def test_socket_directory():
    where = parse_url("postgresql://me@/app?host=/run/postgresql&port=5433")
    assert (where.host, where.socket_dir, where.port) == (
        "/run/postgresql",
        "/run/postgresql",
        5433,
    )


def test_address_of_ip_version_6():
    assert parse_url("postgresql://me@[::1]:5433/app").host == "::1"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("mysql://localhost/app", "does not start with postgresql://"),
        ("embeded", "does not start with postgresql://"),
        ("postgresql://h:99999/app", "its port is not a number"),
        ("postgresql://h/app?port=x", "its port is not a number"),
        ("postgresql://h/app?sslmode=require", "'sslmode' is not supported"),
    ],
)
def test_what_is_no_server_url(text, why):
    with pytest.raises(ConfigurationError, match=why):
        parse_url(text)


def test_password_is_not_shown():
    with pytest.raises(ConfigurationError) as caught:
        parse_url("mysql://me:s3cr3t@localhost/app")
    assert "s3cr3t" not in str(caught.value)
