"""Connections that a class opens where it is made: those of pg8000 and mysqlclient, moved.

The invariant: the class's own ``__init__`` does it, to whichever address.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import PurePosixPath
from types import ModuleType
from typing import Any

from pytest_slipstream.databases.embedding import calls
from pytest_slipstream.databases.embedding.standin import StandIn
from pytest_slipstream.databases.embedding.targets import Target, server_name
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.routing.drivers import Patch

_BY_PLACE = ("host", "user", "password", "database", "port", "unix_socket")
"""What mysqlclient takes without a name."""
_Given = dict[str, Any]


def pg8000_patches(module: ModuleType, stand_in: StandIn) -> list[Patch]:
    """The class that all of its interfaces inherit from."""
    signature = inspect.signature(module.CoreConnection.__init__)

    def read(args: tuple[Any, ...], kwargs: _Given) -> _Given | None:
        try:
            given = signature.bind(None, *args, **kwargs).arguments
        except TypeError:
            return None
        named = {name: value for name, value in given.items() if name != "self"}
        return None if named.get("sock") is not None else named

    return [_patch(module.CoreConnection, stand_in, read, _of_pg8000, _pg8000_at)]


def mysqlclient_patches(module: ModuleType, stand_in: StandIn) -> list[Patch]:
    """The class of connections, to which `MySQLdb.connect` leads."""

    def read(args: tuple[Any, ...], kwargs: _Given) -> _Given | None:
        aliases = {"db": "database", "passwd": "password"}
        named = {aliases.get(name, name): value for name, value in kwargs.items()}
        # A file of options may say where it goes, which only the library reads.
        is_elsewhere = named.keys() & {"read_default_file", "read_default_group"}
        is_odd = len(args) > len(_BY_PLACE) or len(named) < len(kwargs)
        return None if is_elsewhere or is_odd else named | dict(zip(_BY_PLACE, args, strict=False))

    return [_patch(module.Connection, stand_in, read, _of_mysqlclient, _mysqlclient_at)]


def _patch(
    kind: type,
    stand_in: StandIn,
    read: Callable[[tuple[Any, ...], _Given], _Given | None],
    target: Callable[[_Given], Target],
    at: Callable[[Address], _Given],
) -> Patch:
    original = vars(kind)["__init__"]

    @functools.wraps(original)
    def opened(connection: Any, *args: Any, **kwargs: Any) -> None:
        given = read(args, kwargs)
        if given is None:
            original(connection, *args, **kwargs)
            return
        calls.connect(
            stand_in,
            target(given),
            lambda address: original(connection, **given | at(address)),
            lambda: original(connection, *args, **kwargs),
        )

    return Patch(kind, "__init__", opened)


def _of_pg8000(given: _Given) -> Target:
    host, port = given.get("host", "localhost"), given.get("port")
    if given.get("unix_sock"):
        path = PurePosixPath(given["unix_sock"])
        host, port = str(path.parent), path.name.rpartition(".")[2]
    user = _text(given.get("user"))
    return Target(
        host=host or "",
        server=server_name("postgresql", host or "", port),
        user=user,
        password=_text(given.get("password")),
        database=_text(given.get("database")) or user,
    )


def _pg8000_at(address: Address) -> _Given:
    path = f"{address.socket_dir}/.s.PGSQL.{address.port}"
    return {"host": None, "unix_sock": path, "ssl_context": None}


def _of_mysqlclient(given: _Given) -> Target:
    socket = given.get("unix_socket") or ""
    host, port = (socket, None) if socket else (given.get("host") or "", given.get("port"))
    return Target(
        host=host,
        server=server_name("mysql", host, port),
        user=given.get("user") or "",
        password=_text(given.get("password")),
        database=given.get("database") or "",
    )


def _mysqlclient_at(address: Address) -> _Given:
    return {"host": "localhost", "unix_socket": address.socket}


def _text(value: Any) -> str:
    return bytes(value).decode() if isinstance(value, bytes | bytearray) else str(value or "")
