"""MySQL's and MariaDB's servers: which program, which URL, which options."""

from __future__ import annotations

import pytest

from pytest_slipstream.databases.servers.mysql_binaries import (
    find_binaries,
    parse_version,
    too_old,
)
from pytest_slipstream.databases.servers.mysql_embedded import EmbeddedMysql, accounts_sql
from pytest_slipstream.databases.servers.mysql_external import ExternalMysql, parse_url
from pytest_slipstream.errors import ConfigurationError, MissingExtraError, ServerError
from pytest_slipstream.settings import DatabaseSettings


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("10.11.18-MariaDB-0+deb12u1 for debian-linux-gnu", ("mariadb", (10, 11, 18))),
        ("5.5.5-10.6.1-MariaDB", ("mariadb", (10, 6, 1))),
        ("8.0.36 MySQL Community Server - GPL", ("mysql", (8, 0, 36))),
        ("8.4.0 for Linux on x86_64", ("mysql", (8, 4, 0))),
        ("nonsense", None),
    ],
)
def test_version(text, parsed):
    assert parse_version(text) == parsed


def test_old_servers_are_named():
    assert "the oldest supported is 10.5" in too_old("mariadb", (10, 3, 1))
    assert "MySQL 5.7.1" in too_old("mysql", (5, 7, 1))
    assert too_old("mysql", (8, 0, 11)) is None


def test_no_binaries_names_how_to_get_them(monkeypatch):
    monkeypatch.setattr("pytest_slipstream.databases.servers.mysql_binaries._SYSTEM", ("/no",))
    with pytest.raises(MissingExtraError, match="there is no MariaDB or MySQL") as raised:
        find_binaries({"PATH": "/nonexistent"})
    for way in ("apt-get install mariadb-server-core", "brew install mariadb", "docker run"):
        assert way in raised.value.hint


def test_a_named_directory_without_binaries(tmp_path):
    with pytest.raises(ServerError, match="SLIPSTREAM_MYSQL_BIN names"):
        find_binaries({"SLIPSTREAM_MYSQL_BIN": str(tmp_path)})


def test_whole_url():
    where = parse_url("mariadb+asyncmy://me:p%40ss@db.test:3307/app")
    assert (where.host, where.port, where.user, where.password, where.database) == (
        "db.test",
        3307,
        "me",
        "p@ss",
        "app",
    )


def test_url_of_a_socket():
    where = parse_url("mysql://me@/?unix_socket=/run/mysqld/mysqld.sock")
    assert (where.host, where.socket, where.socket_dir) == (
        "",
        "/run/mysqld/mysqld.sock",
        "/run/mysqld",
    )


@pytest.mark.parametrize("url", ["postgresql://h/", "mysql://h:0x/", "mysql://h/?ssl=1"])
def test_bad_url(url):
    with pytest.raises(ConfigurationError, match="is no MySQL URL"):
        parse_url(url)


def test_remote_servers_are_refused_without_their_password():
    settings = DatabaseSettings(engine="mysql", server="mysql://u:secret@db.example/")
    with pytest.raises(ConfigurationError, match="is not this machine") as raised:
        ExternalMysql(settings)
    assert "secret" not in str(raised.value)


def test_the_account_has_a_password_for_tcp_only():
    assert "127.0.0.1" not in accounts_sql("me", "")
    assert "IDENTIFIED BY 'abc'" in accounts_sql("me", "abc")


@pytest.mark.parametrize(
    ("version", "lasting"),
    [("9.7.4 for Linux", ["--lower-case-table-names=1"]), ("10.11.8-MariaDB", [])],
)
def test_what_mysql_never_changes_later_makes_other_system_tables(tmp_path, version, lasting):
    program = tmp_path / "mysqld"
    program.write_text(f"#!/bin/sh\necho 'mysqld Ver {version}'\n")
    program.chmod(0o755)
    options = {"lower_case_table_names": "1", "sql_mode": "ANSI_QUOTES"}
    settings = DatabaseSettings(engine="mysql", server_options=options)
    product = EmbeddedMysql(settings, {"SLIPSTREAM_MYSQL_BIN": str(tmp_path)})
    assert product.cluster_facts("") == [version, "", *lasting]
