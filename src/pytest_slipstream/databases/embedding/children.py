"""The environment of a child process, whose drivers nobody moves.

The invariant: a variable that is a URL of a server that is moved names the embedded one in the
child, by TCP, since all programs understand that; everything else is as it was.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from pytest_slipstream.databases.embedding.standin import StandIn
from pytest_slipstream.databases.embedding.targets import Target, libpq_of_url, server_name

_ENV_POSITION = 10  # of subprocess.Popen
_FIRST = "DATABASE_URL"
_RUN = ("execnet.", "pytest_slipstream.")
"""Modules that start workers: those move their connections themselves."""
_URL = re.compile(
    r"(?P<scheme>(?P<product>postgres|postgresql|mysql|mariadb)(?:\+\w+)?://)"
    r"(?P<login>[^/?#\s]*@)?(?P<host>\[[^\]]*\]|[^:/?#,\s]*)(?::(?P<port>\d+))?(?P<rest>[/?#].*)?"
)


class Children:
    """Sees each `subprocess.Popen` from `put_up` to `take_down`.

    Args:
        stand_ins: By engine.
    """

    def __init__(self, stand_ins: Mapping[str, StandIn]) -> None:
        self._stand_ins = stand_ins
        self._original: Any = None

    def put_up(self) -> None:
        """From now on."""
        original = self._original = subprocess.Popen.__init__

        def opened(process: Any, *args: Any, **kwargs: Any) -> None:
            starter = str(sys._getframe(1).f_globals.get("__name__"))
            if len(args) <= _ENV_POSITION and not starter.startswith(_RUN):
                given = kwargs.get("env")
                before = dict(os.environ if given is None else given)
                after = self._moved(before)
                if after != before:
                    kwargs["env"] = after
            original(process, *args, **kwargs)

        self._replacement = opened
        setattr(subprocess.Popen, "__init__", opened)  # noqa: B010 - it is a method

    def take_down(self) -> None:
        """No more."""
        if self._original is not None and subprocess.Popen.__init__ is self._replacement:
            setattr(subprocess.Popen, "__init__", self._original)  # noqa: B010

    def _moved(self, environ: dict[Any, Any]) -> dict[Any, Any]:
        found = dict(environ)
        targets = {name: _target(value) for name, value in environ.items()}
        for engine, stand_in in self._stand_ins.items():
            named = {name: one[1] for name, one in targets.items() if one and one[0] == engine}
            servers = {target.server for target in named.values()}
            # Before anything is connected to, one of several servers is the first by its name only.
            if stand_in.is_settled() or len(servers) == 1 or _FIRST in named:
                for name in sorted(named, key=lambda name: name != _FIRST):
                    found[name] = _moved_url(stand_in, environ[name], named[name])
        postgresql = self._stand_ins.get("postgresql")
        if postgresql is not None and postgresql.is_used:
            server = server_name("postgresql", environ.get("PGHOST", ""), environ.get("PGPORT"))
            if postgresql.is_meant(server):
                found |= {"PGHOST": postgresql.own.socket_dir, "PGPORT": str(postgresql.own.port)}
                found.pop("PGHOSTADDR", None)
        return found


def _target(value: Any) -> tuple[str, Target] | None:
    """What a URL names, and of which product."""
    url = _URL.fullmatch(value) if isinstance(value, str) else None
    if url is None or not url["host"]:
        return None
    engine = "mysql" if url["product"] in ("mysql", "mariadb") else "postgresql"
    given = libpq_of_url(value)
    return engine, Target(
        host=url["host"],
        server=server_name(engine, url["host"], url["port"]),
        user=given.get("user", ""),
        password=given.get("password", ""),
        database=given.get("dbname", ""),
    )


def _moved_url(stand_in: StandIn, value: str, target: Target) -> str:
    if not stand_in.is_meant(target.server):
        return value
    address = stand_in.address(target)
    if address is None:
        return value
    stand_in.provide(target)  # nobody will see the child being refused
    url = _URL.fullmatch(value)
    assert url is not None
    place = f"{address.host}:{address.port}"
    return f"{url['scheme']}{url['login'] or ''}{place}{url['rest'] or ''}"
