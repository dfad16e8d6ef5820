"""The environment of a child process, whose drivers nobody moves.

The invariant: a variable that is a URL of a server that is moved names the embedded one in the
child, by TCP, since all programs understand that; everything else is as it was.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from typing import Any

from pytest_slipstream.databases.embedding.standin import StandIn
from pytest_slipstream.databases.embedding.targets import Target, libpq_of_url, server_name

_ENV_POSITION = 10  # of subprocess.Popen
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
            if len(args) <= _ENV_POSITION:
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
        found = {name: self._moved_url(value) for name, value in environ.items()}
        postgresql = self._stand_ins.get("postgresql")
        if postgresql is not None and postgresql.is_used:
            named = server_name("postgresql", environ.get("PGHOST", ""), environ.get("PGPORT"))
            if postgresql.is_meant(named):
                found |= {"PGHOST": postgresql.own.socket_dir, "PGPORT": str(postgresql.own.port)}
                found.pop("PGHOSTADDR", None)
        return found

    def _moved_url(self, value: Any) -> Any:
        url = _URL.fullmatch(value) if isinstance(value, str) else None
        if url is None or not url["host"]:
            return value
        engine = "mysql" if url["product"] in ("mysql", "mariadb") else "postgresql"
        stand_in = self._stand_ins.get(engine)
        if stand_in is None:
            return value
        given = libpq_of_url(value)
        target = Target(
            host=url["host"],
            server=server_name(engine, url["host"], url["port"]),
            user=given.get("user", ""),
            password=given.get("password", ""),
            database=given.get("dbname", ""),
        )
        address = stand_in.address(target)
        if address is None:
            return value
        stand_in.provide(target)  # nobody will see the child being refused
        place = f"{address.host}:{address.port}"
        return f"{url['scheme']}{url['login'] or ''}{place}{url['rest'] or ''}"
