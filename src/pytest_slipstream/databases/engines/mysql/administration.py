"""Databases as a whole: made, dropped, listed; the registry of templates; and who uses what.

All of it goes through one session, which carries this process's locks and is opened again, with its
locks, when the server was restarted. MySQL renames no database and has no shared locks, so a
template is complete when the registry says so, and whoever uses a template or owns a slot leaves a
claim there, signed with the name of a lock that dies with its session. The invariant: only
databases that start with slipstream's prefix are ever dropped.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import pymysql

from pytest_slipstream.clock import clock
from pytest_slipstream.databases import naming
from pytest_slipstream.databases.engines.mysql import sessions
from pytest_slipstream.databases.engines.mysql.sessions import REGISTRY, Row, Session, quoted
from pytest_slipstream.databases.engines.protocol import Address

_TABLES = (
    f"CREATE DATABASE IF NOT EXISTS {REGISTRY} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    f"CREATE TABLE IF NOT EXISTS {REGISTRY}.templates (name varchar(64) PRIMARY KEY, "
    "`database` varchar(64) NOT NULL, fingerprint varchar(128) NOT NULL, "
    "used_at double NOT NULL) ENGINE = InnoDB",
    f"CREATE TABLE IF NOT EXISTS {REGISTRY}.claims (what varchar(64), life varchar(64), "
    "PRIMARY KEY (what, life)) ENGINE = InnoDB",
)
_SIZE = "(SELECT coalesce(sum(data_length + index_length), 0) FROM information_schema.tables"
_DEAD = f"DELETE FROM {REGISTRY}.claims WHERE IS_USED_LOCK(life) IS NULL"
_PATIENCE_S = 31_536_000
_LOCK_PATIENCE_S = 10


class Registered(msgspec.Struct, frozen=True):
    """A published template. Unix time in seconds."""

    name: str
    database: str
    fingerprint: str
    used_at: float
    size_bytes: int


class Administration:
    """One process's way to a server's databases.

    Args:
        address: The server's.
        revive: Gets a dead server running again; raises `ServerError` when it cannot.
    """

    def __init__(self, address: Address, revive: Callable[[], object]) -> None:
        self.address = address
        self._revive = revive
        self._claims: set[str] = set()
        self._life = f"{naming.PREFIX}{uuid.uuid4().hex}"
        self._session = self._begin()

    def _begin(self) -> Session:
        session = Session(self.address, patience_s=_LOCK_PATIENCE_S)
        session.rows("SELECT GET_LOCK(%s, 0)", self._life)
        return session

    @property
    def session(self) -> Session:
        """The session, for what needs no second try."""
        return self._session

    def open_registry(self) -> None:
        """Make the registry, if it is not there."""
        if self.exists(REGISTRY):
            return
        with self.lock(REGISTRY):
            self._session.run(_TABLES)

    def execute(self, query: str, *values: object) -> list[Row]:
        """Run one statement; once more in a new session when the old one was lost."""
        try:
            return self._session.rows(query, *values)
        except pymysql.err.MySQLError as error:
            if not sessions.is_lost(error):
                raise
        self._session.close()
        self._revive()
        self._session = self._begin()
        return self._session.rows(query, *values)

    def close(self) -> None:
        """Close the session; its locks go with it."""
        self._session.close()

    # Who uses what

    def claim(self, what: str) -> None:
        """Say that this process uses a template or owns slots, until `close`."""
        if what not in self._claims:
            with self.lock(REGISTRY):
                self.execute(
                    f"INSERT IGNORE INTO {REGISTRY}.claims VALUES (%s, %s)", what, self._life
                )
            self._claims.add(what)

    def is_claimed(self, what: str) -> bool:
        """Whether a living process other than this one's session claims it."""
        return bool(
            self.execute(
                f"SELECT 1 FROM {REGISTRY}.claims WHERE what = %s AND life <> %s "
                "AND IS_USED_LOCK(life) IS NOT NULL",
                what,
                self._life,
            )
        )

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold a lock alone; waits for it."""
        self.execute("SELECT GET_LOCK(%s, %s)", name, _PATIENCE_S)
        try:
            yield
        finally:
            self.execute("SELECT RELEASE_LOCK(%s)", name)

    def is_locked(self, name: str) -> bool:
        """Whether a session holds that lock."""
        return self.execute("SELECT IS_USED_LOCK(%s)", name)[0][0] is not None

    # Templates

    def publish(self, name: str, database: str, fingerprint: str) -> None:
        """Say that a template is complete."""
        self.execute(
            f"REPLACE INTO {REGISTRY}.templates VALUES (%s, %s, %s, %s)",
            name,
            database,
            fingerprint,
            clock.unix(),
        )

    def published(self) -> list[Registered]:
        """All published templates."""
        rows = self.execute(
            f"SELECT name, `database`, fingerprint, used_at, {_SIZE} WHERE table_schema = name) "
            f"FROM {REGISTRY}.templates"
        )
        return [
            Registered(str(row[0]), str(row[1]), str(row[2]), float(row[3]), int(row[4]))
            for row in rows
        ]

    def note_use(self, name: str) -> bool:
        """Mark a published template as used now; False when there is none."""
        self.execute(
            f"UPDATE {REGISTRY}.templates SET used_at = %s WHERE name = %s", clock.unix(), name
        )
        return bool(self.execute(f"SELECT 1 FROM {REGISTRY}.templates WHERE name = %s", name))

    def drop_template(self, name: str) -> bool:
        """Drop a template; False when somebody else uses it or it is gone."""
        with self.lock(REGISTRY):
            known = self.execute(f"SELECT 1 FROM {REGISTRY}.templates WHERE name = %s", name)
            if not known or self.is_claimed(name) or name in self._claims:
                return False
            self.execute(f"DELETE FROM {REGISTRY}.templates WHERE name = %s", name)
        self.drop(name)
        return True

    # Databases

    def names(self) -> list[str]:
        """All databases that carry slipstream's prefix, the registry left out."""
        rows = self.execute(
            "SELECT schema_name FROM information_schema.schemata WHERE left(schema_name, %s) = %s",
            len(naming.PREFIX),
            naming.PREFIX,
        )
        return [str(name) for (name,) in rows if name != REGISTRY]

    def sizes(self) -> dict[str, int]:
        """The size in bytes of each database that has tables."""
        rows = self.execute(
            "SELECT table_schema, sum(data_length + index_length) FROM information_schema.tables "
            "WHERE left(table_schema, %s) = %s GROUP BY 1",
            len(naming.PREFIX),
            naming.PREFIX,
        )
        return {str(name): int(size or 0) for name, size in rows}

    def exists(self, name: str) -> bool:
        """Whether there is such a database."""
        return bool(
            self.execute("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", name)
        )

    def create_empty(self, name: str) -> None:
        """Make a database with nothing in it."""
        self.execute(f"CREATE DATABASE {_ours(name)} CHARACTER SET utf8mb4")

    def drop(self, name: str) -> None:
        """Drop a database; nothing happens when it is gone."""
        self.execute(f"DROP DATABASE IF EXISTS {_ours(name)}")

    def sweep(self, own_owner: str) -> None:
        """Drop what dead runs left: slots that nobody claims, builds that nobody does."""
        self.execute(_DEAD)
        for name in self.names():
            if name.startswith(f"{naming.PREFIX}b_"):
                dead = not self.is_locked(naming.template_of(name))
            else:
                slot = naming.parse_slot_name(name)
                dead = slot is not None and slot.owner != own_owner and not self._lives(slot.owner)
            if dead:
                self._drop_if_allowed(name)

    def _lives(self, owner: str) -> bool:
        return owner in self._claims or self.is_claimed(owner)

    def _drop_if_allowed(self, name: str) -> None:
        try:
            self.drop(name)
        except pymysql.err.OperationalError:
            return  # Another account's, who will drop it.


def _ours(name: str) -> str:
    assert name.startswith(naming.PREFIX), name
    assert name != REGISTRY
    return quoted(name)
