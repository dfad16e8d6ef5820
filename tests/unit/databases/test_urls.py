from __future__ import annotations

import pytest
from sqlalchemy import make_url

from pytest_slipstream.databases import urls
from pytest_slipstream.databases.engines.protocol import Address

SOCKET = Address(
    engine="postgresql",
    database="slipstream_s_1",
    host="/tmp/a dir",
    port=5432,
    user="me",
    socket_dir="/tmp/a dir",
)
TCP = Address(
    engine="postgresql", database="d", host="127.0.0.1", port=5433, user="me", password="a/b@c:é"
)


def test_socket_url_reads_back() -> None:
    url = make_url(urls.url(SOCKET))
    assert url.drivername == "postgresql+psycopg"
    assert (url.username, url.database) == ("me", "slipstream_s_1")
    assert url.query == {"host": "/tmp/a dir", "port": "5432"}


def test_tcp_url_reads_back() -> None:
    url = make_url(urls.url(TCP, "asyncpg"))
    assert url.drivername == "postgresql+asyncpg"
    assert (url.host, url.port, url.password) == ("127.0.0.1", 5433, "a/b@c:é")


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("/dev/shm/x.db", "sqlite+aiosqlite:////dev/shm/x.db"),
        ("file:/x?vfs=memdb", "sqlite+aiosqlite:///file:/x?vfs=memdb&uri=true"),
    ],
)
def test_sqlite_urls(path: str, url: str) -> None:
    assert urls.url(Address(engine="sqlite", database="x", path=path), "aiosqlite") == url


def test_no_driver_is_what_libpq_reads() -> None:
    assert urls.url(TCP, "").startswith("postgresql://me:")


def test_redacted() -> None:
    assert urls.redact("postgresql://me:secret@h/d") == "postgresql://me:***@h/d"
    assert urls.redact("postgresql://me@h/d") == "postgresql://me@h/d"


@pytest.mark.parametrize("host", ["", "/tmp", "localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_local(host: str) -> None:
    assert urls.is_local(host)


@pytest.mark.parametrize("host", ["db", "10.0.0.1", "localhost.example.com", "0.0.0.0", "fe80::1"])
def test_remote(host: str) -> None:
    assert not urls.is_local(host)


def test_mysql_by_socket_and_by_tcp():
    socket = Address(
        engine="mysql", database="d", host="/run/s", user="me", port=3306, socket="/run/s/m.sock"
    )
    assert urls.url(socket) == "mysql+pymysql://me@/d?unix_socket=%2Frun%2Fs%2Fm.sock"
    assert urls.shell(socket) == "mariadb -S /run/s/m.sock -u me d"
    tcp = Address(engine="mysql", database="d", host="::1", user="me", password="p w", port=3307)
    assert urls.url(tcp, "asyncmy") == "mysql+asyncmy://me:p%20w@[::1]:3307/d"
    assert urls.shell(tcp) == "MYSQL_PWD=p%20w mariadb -h ::1 -P 3307 -u me d"
