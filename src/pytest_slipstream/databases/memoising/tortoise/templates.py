"""Template databases for Tortoise on PostgreSQL: the tables of a script, in a schema out of sight.

The invariant: tables come into sight only in a copy in which nobody has changed anything, and they
are what the script made in a database of the application's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_slipstream.databases.memoising.ledger import UnknownResultError
from pytest_slipstream.databases.memoising.operations import Session
from pytest_slipstream.databases.memoising.postgresql.parking import (
    Made,
    copy_of,
    look,
    park,
    quoted,
    unpark,
)
from pytest_slipstream.databases.memoising.postgresql.places import is_left, told
from pytest_slipstream.databases.memoising.postgresql.state import PREFIX, read

if TYPE_CHECKING:
    import psycopg

_PARKED = f"{PREFIX}{os.getpid()}_tortoise"
_AWAY = f"{_PARKED}_away"
_OWN = re.compile(rf"{PREFIX}\d+_tortoise\d+")
_MAINTENANCE = ("postgres", "template1")


class Server(msgspec.Struct, frozen=True):
    """Where databases are, and by which role."""

    host: str
    port: int
    user: str
    password: str | None


class Template(msgspec.Struct, frozen=True):
    """A database with the tables of a script. ``source`` says what the server's own template was
    like; ``content``: what it holds when the tables are in sight."""

    name: str
    script: str
    source: str
    made: Made
    digest: str
    surroundings: str
    content: dict[str, str]


class OwnSession(Session):
    """A session of slipstream's own."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def _execute(self, statement: str) -> Any:
        return self._connection.execute(statement.encode())


def build(server: Server, database: str, name: str, script: str, source: str) -> Template:
    """Make a template of the script that has just run in a new database.

    Args:
        server: Where.
        database: The application's.
        name: The template's.
        script: What makes the tables.
        source: What ``template1`` was like when the application's database was made.

    Raises:
        UnknownResultError: The tables cannot be put out of sight, or are others the second time.
    """
    with _session(server, database, autocommit=True) as own:
        state = read(own.rows)
        if not state.is_local(server.host):
            raise UnknownResultError("a server on another machine")
        expected = _content(own)
        _sweep(own)
        own.run(f"CREATE DATABASE {name} OWNER {quoted(server.user)}")
    try:
        return _filled(server, name, script, source, expected)
    except BaseException:
        drop(server, name)
        raise


def _filled(
    server: Server, name: str, script: str, source: str, expected: dict[str, str]
) -> Template:
    with _session(server, name) as own:
        elsewhere = read(own.rows).elsewhere
        own.run(script)
        state = read(own.rows)
        schema = state.schema
        if schema is None or state.problem or not state.may_rename or state.elsewhere != elsewhere:
            raise UnknownResultError(state.problem or "a schema that the role may not rename")
        made = look(own, state)
        if made.problem or (made.needs_superuser and not state.is_superuser):
            raise UnknownResultError(made.problem or "tables in a cycle, and no superuser")
        if _content(own) != expected:
            raise UnknownResultError("a script that comes to something else each time")
        for statement in copy_of(own, schema, _AWAY):
            own.run(statement)
        spare = read(own.rows).named(_AWAY)
        if spare is None or not spare.is_like(schema):
            raise UnknownResultError(f"the schema {schema.name}, whose rights cannot be given")
        own.run(park(made.names, schema.name, _PARKED, _AWAY))
    with _session(server, name) as own:
        state = read(own.rows)
    return Template(name, script, source, made, state.digest, state.surroundings, expected)


def restore(own: Session, template: Template, *, only_try: bool) -> dict[str, str]:
    """Bring the tables of a copy into sight.

    Args:
        own: A session in the copy, in a transaction.
        template: What it is a copy of.
        only_try: Undo it, and say what the database held meanwhile.

    Raises:
        UnknownResultError: It is not as the template any more.
    """
    state = read(own.rows)
    parked, schema = state.named(_PARKED), state.schema
    if parked is None or schema is None or state.problem:
        raise UnknownResultError(state.problem or "a database that has changed since")
    is_same = (state.digest, state.surroundings) == (template.digest, template.surroundings)
    if not is_same or not schema.is_blank or not parked.is_like(schema):
        raise UnknownResultError("a database that has changed since it was made")
    own.run("SAVEPOINT slipstream_memo")
    own.run(unpark(state, template.made, _AWAY, _PARKED))
    own.run(f"DROP SCHEMA {_AWAY}")
    found = _content(own) if only_try else {}
    own.run("ROLLBACK TO SAVEPOINT slipstream_memo" if only_try else "RELEASE slipstream_memo")
    return found


def discard(server: Server, database: str) -> None:
    """Take the tables out of a copy for good, if it is still there."""
    with suppress(UnknownResultError), _session(server, database) as own:
        own.run(f"DROP SCHEMA IF EXISTS {_PARKED} CASCADE")


def drop(server: Server, name: str) -> None:
    """Drop a template, if the server still answers."""
    for maintenance in _MAINTENANCE:
        with suppress(UnknownResultError):
            with _session(server, maintenance, autocommit=True) as own:
                own.run(f"DROP DATABASE IF EXISTS {name}")
            return


def _sweep(own: Session) -> None:
    """Drop what killed processes have left, as far as the role may."""
    import psycopg

    query = f"SELECT /* slipstream */ datname FROM pg_database WHERE datname ~ '{PREFIX}'"
    for (found,) in own.rows(query):
        if _OWN.fullmatch(found) and is_left(found.removeprefix(PREFIX)):
            with suppress(psycopg.Error):
                own.run(f"DROP DATABASE {found}")


def content_of(server: Server, database: str) -> dict[str, str]:
    """All that a database holds, each to a digest."""
    with _session(server, database) as own:
        return _content(own)


def _content(own: Session) -> dict[str, str]:
    from pytest_slipstream.databases.engines.postgresql import content

    return told(content.digest_by(own.rows))


@contextmanager
def _session(server: Server, database: str, *, autocommit: bool = False) -> Iterator[OwnSession]:
    import psycopg

    try:
        connection = psycopg.connect(
            host=server.host,
            port=server.port,
            user=server.user,
            password=server.password,
            dbname=database,
            autocommit=autocommit,
        )
    except psycopg.Error as error:
        raise UnknownResultError("a server that slipstream cannot connect to") from error
    try:
        with connection:
            yield OwnSession(connection)
    except psycopg.Error as error:
        raise UnknownResultError("a statement of slipstream's that the server refuses") from error
