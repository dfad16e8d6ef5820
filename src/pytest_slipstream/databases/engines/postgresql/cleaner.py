"""A slot seen from inside: the calls of slipstream's own functions in it.

The invariant: the mark that the server gave at the last call goes with the next one, so that what
the server finds is what changed in between.
"""

from __future__ import annotations

import hashlib
from importlib import resources

import msgspec

from pytest_slipstream.databases.engines.postgresql.sessions import (
    DEADLOCK_DETECTED,
    LOCK_NOT_AVAILABLE,
    Session,
    SessionError,
    literal,
)
from pytest_slipstream.databases.engines.protocol import Leftover

_FILES = ("recording", "instrument", "snapshots", "leftovers", "clean", "layers")
_PREPARE = "PREPARE slipstream_clean AS SELECT _slipstream.clean($1, $2)"
_SKIP_STATISTICS_FROM = 160000


class Found(msgspec.Struct, frozen=True):
    """What the server found and did; ``grown`` are tables with too many dead rows."""

    tables: tuple[str, ...] = ()
    ddl: tuple[str, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    cannot: str | None = None
    grown: tuple[str, ...] = ()
    mark: msgspec.Raw = msgspec.Raw(b"null")


_found = msgspec.json.Decoder(Found)


def own_objects() -> str:
    """A digest of slipstream's own objects in a template."""
    return hashlib.sha256(b"".join(_scripts())).hexdigest()[:12]


def _scripts() -> list[bytes]:
    directory = resources.files(__package__) / "sql"
    return [(directory / f"{name}.sql").read_bytes() for name in _FILES]


def install(session: Session) -> None:
    """Add slipstream's own objects to a built template.

    Args:
        session: Of `Sessions.clean_in`, in the template; closed at the end.
    """
    session.execute("SET lock_timeout = 0")
    try:
        # Statements that are sent together are one transaction.
        session.execute(b"\n".join([*_scripts(), b"SELECT _slipstream.finish()"]))
    finally:
        session.close()


class Cleaner:
    """What cleans one slot.

    Args:
        session: Of `Sessions.clean_in`, in the slot; it is this object's from now on.
        mark: Where the next call starts from; None when the slot is fresh from its template.
    """

    def __init__(self, session: Session, mark: str | None = None) -> None:
        self._session = session
        self._session.execute(_PREPARE)
        self._mark = mark or str(self._value("SELECT _slipstream.begin()::text"))

    @property
    def lost(self) -> bool:
        """Whether the connection is gone."""
        return self._session.lost

    @property
    def mark(self) -> str:
        """Where the next call starts from."""
        return self._mark

    def close(self) -> None:
        """End the session."""
        self._session.close()

    def clean(self) -> Found:
        """Put back what changed."""
        try:
            found = self._clean(b"f")
        except SessionError as error:
            if error.sqlstate not in (LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED):
                raise
            # A transaction of a wider fixture is in the way; it cannot go on as it is.
            found = self._clean(b"t")
        if found.grown:
            self._vacuum(found.grown)
        return found

    def _clean(self, everyone: bytes) -> Found:
        return self._take(
            self._session.execute_prepared(b"slipstream_clean", [self._mark.encode(), everyone])
        )

    def touched(self) -> tuple[str, ...]:
        """Tables with committed writes."""
        rows = self._session.execute("SELECT * FROM _slipstream.touched()")
        return tuple(str(name) for (name,) in rows)

    def push_layer(self, number: int) -> Found:
        """Take what was written as a layer."""
        return self._call("SELECT _slipstream.push_layer($1, $2)", self._mark, number)

    def pop_layer(self, number: int) -> None:
        """Take a layer out; the next `clean` puts back what it held."""
        grown = self._session.execute("SELECT unnest(_slipstream.pop_layer($1))", number)
        if grown:
            self._vacuum(tuple(str(target) for (target,) in grown))

    def export_layer(self, number: int) -> str:
        """What a layer holds."""
        return str(self._value("SELECT _slipstream.export_layer($1)", number))

    def import_layer(self, exported: str) -> None:
        """Lay a layer on top; the next `clean` makes the slot hold it."""
        self._session.execute("SELECT _slipstream.import_layer($1)", exported)

    def roll_back_prepared(self) -> tuple[Leftover, ...]:
        """Roll back transactions prepared for two-phase commit; only a client can."""
        rows = self._session.execute(
            "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"
        )
        names = [str(name) for (name,) in rows]
        for name in names:
            self._session.execute(f"ROLLBACK PREPARED {literal(name)}")
        return tuple(Leftover(kind="transaction", detail=f"prepared as {name!r}") for name in names)

    def _call(self, query: str, *values: object) -> Found:
        return self._take(str(self._value(query, *values)))

    def _take(self, answer: str | bytes) -> Found:
        found = _found.decode(answer)
        if found.cannot is None:
            self._mark = bytes(found.mark).decode()
        return found

    def _value(self, query: str, *values: object) -> object:
        ((value,),) = self._session.execute(query, *values)
        return value

    def _vacuum(self, targets: tuple[str, ...]) -> None:
        """Remove dead rows. Not possible inside of a function, hence from here."""
        options = "INDEX_CLEANUP ON, SKIP_LOCKED ON"
        if self._session.server_version >= _SKIP_STATISTICS_FROM:
            options += ", SKIP_DATABASE_STATS ON"
        command = f"VACUUM ({options}) {', '.join(targets)}"
        self._session.execute(command)
        names = msgspec.json.encode(targets).decode()
        self._session.execute(
            "SELECT _slipstream.vacuumed(ARRAY(SELECT jsonb_array_elements_text($1)))", names
        )
