"""Where servers listen: sockets with long paths, ports that are taken, external servers."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from pytest_slipstream.databases import servers
from pytest_slipstream.databases.cache import cache_directory
from pytest_slipstream.databases.servers import embedded, stores
from pytest_slipstream.databases.servers.endpoints import SOCKET_PATH_BYTES
from pytest_slipstream.databases.urls import url
from pytest_slipstream.errors import ConfigurationError, MissingExtraError, ServerError
from pytest_slipstream.settings import DatabaseSettings

LOGIN = "postgresql://slipstream"


def quiet(message: str) -> None:
    """Progress that nobody reads."""


def test_address_is_the_same_before_and_after_the_start(users):
    user = users()
    before = user.do("address")
    assert list(users.cache_dir.iterdir()) == []
    user.do("open")
    assert user.do("address") == before
    user.do("close")


def test_long_cache_path_gets_a_short_socket(users, cache_dir):
    deep = cache_dir / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    user = users(deep)
    where = user.do("address")
    assert len(os.fsencode(where["socket_dir"])) + len("/.s.PGSQL.5432") <= SOCKET_PATH_BYTES
    assert not where["socket_dir"].startswith(str(cache_dir))
    user.do("open")
    assert user.do("sql select 1") == 1
    user.do("close")
    (entry,) = embedded.list_servers(deep)
    assert stat.S_IMODE(Path(where["socket_dir"]).stat().st_mode) == 0o700
    stores.discard(entry.data.parent)
    Path(where["socket_dir"]).rmdir()


def test_read_only_cache_directory_is_named(cache_dir, only_root):
    sealed = cache_dir / "sealed"
    sealed.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,mode=755", "tmpfs", str(sealed)], check=True)
    try:
        server = servers.of(DatabaseSettings(engine="postgresql"), cache_dir=sealed)
        with pytest.raises(ServerError, match=f"{sealed}/servers cannot be written: read-only"):
            server.open(quiet)
        with pytest.raises(ConfigurationError, match=f"{sealed} cannot be used: it may not be"):
            cache_directory(str(sealed), {})
    finally:
        subprocess.run(["umount", str(sealed)], check=True)


def test_tcp_port_and_password_are_known_before_the_start(users):
    first, second = users(tcp=True), users(tcp=True)
    where = first.do("address")
    assert (where["host"], second.do("address")) == ("127.0.0.1", where)
    assert where["port"] not in (0, 5432)
    first.do("open")
    assert first.do("sql select inet_server_port()") == where["port"]
    assert not second.do("open")["started"]
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(
            host=where["host"],
            port=where["port"],
            user=where["user"],
            password="guess",
            dbname="postgres",
        )
    (password,) = (users.cache_dir / "servers").glob("password")
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    first.do("close")
    second.do("close")
    later = users(tcp=True)
    assert later.do("address") == where


def test_taken_port_is_chosen_again_before_the_run_and_refused_in_it(users):
    first = users(tcp=True)
    port = first.do("address")["port"]
    with ExitStack() as stack:
        stranger = stack.enter_context(socket.socket())
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        answer = first.ask("open")
        assert answer["type"] == "ServerError"
        assert f"port {port} of 127.0.0.1" in answer["error"]
        assert "hint: run again" in answer["error"]
        second = users(tcp=True)
        assert second.do("address")["port"] != port
        second.do("open")
        assert second.do("sql select 1") == 1
        second.do("close")


def test_external_server_by_url(users):
    user = users(tcp=True)
    user.do("open")
    where = user.do("address")
    login = f"{where['user']}:{where['password']}"
    tcp = f"postgresql+asyncpg://{login}@127.0.0.1:{where['port']}/postgres"
    by_socket = f"{LOGIN}@/postgres?host={where['socket_dir']}&port={where['port']}"
    for text in (tcp, by_socket):
        settings = DatabaseSettings(engine="postgresql", server=text)
        server = servers.of(settings, cache_dir=users.cache_dir)
        assert (server.kind, server.maintenance_database) == ("external", "postgres")
        info = server.open(quiet)
        assert not info.started
        assert info.version in info.identity
        assert "C.UTF-8" in info.identity
        with psycopg.connect(url(server.address("postgres"), "")) as connection:
            connection.execute("select 1")
        server.close()
    user.do("close")


def test_external_server_with_wrong_password_does_not_show_it(users):
    user = users(tcp=True)
    user.do("open")
    port = user.do("address")["port"]
    settings = DatabaseSettings(
        engine="postgresql", server=f"postgresql://slipstream:s3cr3t@127.0.0.1:{port}/postgres"
    )
    server = servers.of(settings, cache_dir=users.cache_dir)
    with pytest.raises(ServerError, match=f"port {port}, user slipstream cannot be used") as caught:
        server.open(quiet)
    assert "s3cr3t" not in str(caught.value)
    user.do("close")


def test_external_server_that_does_not_answer(cache_dir):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        settings = DatabaseSettings(engine="postgresql", server=f"{LOGIN}@127.0.0.1:{port}/x")
        server = servers.of(settings, cache_dir=cache_dir)
        with pytest.raises(ServerError, match=rf"127\.0\.0\.1, port {port}.*refused"):
            server.open(quiet)
        with pytest.raises(ServerError, match="hint: start it"):
            server.restart(quiet)


def test_external_server_without_a_free_connection(users):
    options = {"max_connections": "4", "superuser_reserved_connections": "0"}
    user = users(server_options=options)
    user.do("open")
    where = user.do("address")
    text = f"{LOGIN}@/postgres?host={where['socket_dir']}&port={where['port']}"
    server = servers.of(
        DatabaseSettings(engine="postgresql", server=text), cache_dir=users.cache_dir
    )
    with ExitStack() as stack:
        with pytest.raises(psycopg.OperationalError, match="too many clients"):
            for _ in range(9):
                stack.enter_context(psycopg.connect(text))
        with pytest.raises(ServerError, match="hint: use fewer workers"):
            server.open(quiet)
    user.do("close")


def test_remote_server_is_refused_before_anything_is_sent(cache_dir):
    text = "postgresql://me:s3cr3t@db.example.com/app"
    refused = r"db\.example\.com' is not this machine"
    with pytest.raises(ConfigurationError, match=refused) as caught:
        servers.of(DatabaseSettings(engine="postgresql", server=text), cache_dir=cache_dir)
    assert "s3cr3t" not in str(caught.value)
    assert "allow_remote = true" in str(caught.value)
    allowed = DatabaseSettings(engine="postgresql", server=text, allow_remote=True)
    server = servers.of(allowed, cache_dir=cache_dir)
    assert server.address("x").host == "db.example.com"


def test_without_binaries_the_address_is_there_and_the_start_says_what_to_install(
    cache_dir, monkeypatch
):
    from pytest_slipstream.databases.servers import postgresql_binaries
    from pytest_slipstream.databases.servers.embedded_server import EmbeddedServer
    from pytest_slipstream.databases.servers.postgresql_embedded import EmbeddedPostgresql

    monkeypatch.setattr(postgresql_binaries, "_SYSTEM", ())
    monkeypatch.setattr(postgresql_binaries, "_wheel_directory", lambda: None)
    product = EmbeddedPostgresql(DatabaseSettings(engine="postgresql"), {"PATH": "/nonexistent"})
    server = EmbeddedServer(product, cache_dir=cache_dir)
    assert server.address("x").user == "slipstream"
    with pytest.raises(MissingExtraError, match=r'pip install "pytest-slipstream\[postgresql\]"'):
        server.open(quiet)
