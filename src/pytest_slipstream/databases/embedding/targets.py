"""What a connect call asks for: which server, as whom, which database. Pure."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from pytest_slipstream.databases.urls import is_local
from pytest_slipstream.settings.embed_verdicts import PORTS


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where a connection is asked for.

    ``host`` as the call has it, or the path of a socket; ``server`` as `server_name` writes it.
    """

    host: str
    server: str
    user: str
    password: str
    database: str


def server_name(engine: str, host: str, port: object = None) -> str:
    """One name for a server: this machine is ``localhost``, by whatever name it is meant."""
    plain = host.strip("[]")
    return f"{'localhost' if is_local(plain) else plain}:{port or PORTS[engine]}"


def of_libpq(given: Mapping[str, Any], environ: Mapping[str, str]) -> Target:
    """Of the parameters of libpq; what is not given, it takes from the environment."""
    found = {
        name: str(given.get(name) or environ.get(variable) or "")
        for name, variable in (
            ("host", "PGHOST"),
            ("hostaddr", "PGHOSTADDR"),
            ("port", "PGPORT"),
            ("user", "PGUSER"),
            ("password", "PGPASSWORD"),
            ("dbname", "PGDATABASE"),
        )
    }
    for name in ("host", "hostaddr", "port"):  # of several servers, the first says which is meant
        found[name] = found[name].partition(",")[0]
    user = found["user"] or getpass.getuser()
    host = found["host"] or found["hostaddr"]
    return Target(
        host=host,
        server=server_name("postgresql", host, found["port"]),
        user=user,
        password=found["password"],
        database=found["dbname"] or user,
    )


def libpq_of_url(url: str) -> dict[str, str]:
    """The parameters that a URL names, as libpq calls them."""
    parts = urlsplit(url)
    login, _, place = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    place = place.partition(",")[0]
    host, colon, port = place.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = place, ""
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    query["dbname"] = query.get("dbname") or query.get("database", "")
    named = {
        "user": user,
        "password": password,
        "host": host,
        "port": port,
        "dbname": parts.path.strip("/"),
    }
    found = {name: unquote(value) for name, value in named.items() if value}
    return query | found
