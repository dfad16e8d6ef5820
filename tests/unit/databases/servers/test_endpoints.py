"""Sockets, ports and passwords, without a server."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from pytest_slipstream.databases.servers import endpoints
from pytest_slipstream.databases.servers.endpoints import SOCKET_PATH_BYTES, socket_directory
from pytest_slipstream.databases.servers.privileges import Account
from pytest_slipstream.errors import ServerError

NAME = ".s.PGSQL.5432"


def test_socket_lies_in_the_servers_directory_up_to_the_limit():
    room = SOCKET_PATH_BYTES - len("/socket/" + NAME)
    fits = Path("/" + "d" * (room - 1))
    assert len(os.fsencode(socket_directory(fits, NAME) / NAME)) == SOCKET_PATH_BYTES
    too_long = Path("/" + "d" * room)
    assert socket_directory(too_long, NAME).parent == Path("/tmp")


def test_bytes_count_not_characters():
    assert socket_directory(Path("/" + "é" * 60), NAME).parent == Path("/tmp")


def test_short_directories_differ_by_server():
    first, second = (socket_directory(Path("/" + letter * 120), NAME) for letter in "ab")
    assert first != second
    assert first == socket_directory(Path("/" + "a" * 120), NAME)


def test_short_directory_that_cannot_be_made_names_length_and_limit(tmp_path):
    deep = tmp_path / ("d" * 120)
    blocked = tmp_path / "missing" / "short"
    account = Account(uid=os.geteuid(), gid=os.getegid())
    with pytest.raises(
        ServerError, match=f"too many for a unix socket's path of {SOCKET_PATH_BYTES}"
    ):
        endpoints.make_socket_directory(blocked, deep, account)


def test_short_directory_of_another_user_is_refused(tmp_path):
    (tmp_path / "short").mkdir()
    stranger = Account(uid=os.geteuid() + 1, gid=os.getegid())
    with pytest.raises(ServerError, match="belongs to another user"):
        endpoints.make_socket_directory(tmp_path / "short", tmp_path / "server", stranger)


def test_port_is_remembered_and_chosen_again_when_taken(tmp_path):
    port = endpoints.kept_port(tmp_path / "port", in_use=False)
    assert endpoints.kept_port(tmp_path / "port", in_use=False) == port
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        assert endpoints.kept_port(tmp_path / "port", in_use=True) == port
        other = endpoints.kept_port(tmp_path / "port", in_use=False)
    assert other != port
    assert endpoints.read_port(tmp_path / "port") == other


def test_password_is_made_once_and_private(tmp_path):
    password = endpoints.kept_password(tmp_path / "password")
    assert len(password) >= 32
    assert endpoints.kept_password(tmp_path / "password") == password
    assert (tmp_path / "password").stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["password"]
