"""Layers of a SQLite slot: whole databases, one file each, the template the lowest.

The invariant: a layer's file is never written while it is open here. Taking a layer out from under
another is the one thing that cannot be done page by page: the rows in which it differs from what
lies below are changed back in the layer above, in a new file.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from pytest_slipstream.databases.engines.sqlite import content, pages
from pytest_slipstream.databases.engines.sqlite.content import quoted


class Layer:
    """A database to which a slot is reset."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = pages.open_unchanging(path)

    @cached_property
    def digest(self) -> dict[str, str]:
        """What it holds."""
        return content.digest(self.connection)

    def close(self) -> None:
        """Stop reading the file."""
        self.connection.close()

    def remove(self) -> None:
        """Remove the file."""
        self.close()
        pages.remove(self.path)

    def renew(self, path: Path) -> None:
        """Put the file at ``path`` in the place of this layer's."""
        self.connection.close()
        path.replace(self.path)
        self.connection = pages.open_unchanging(self.path)
        self.__dict__.pop("digest", None)


def take_out(removed: Layer, below: Layer, above: Layer) -> None:
    """Change back in ``above`` what ``removed`` had changed against ``below``.

    Rows are told apart by their rowid, or by their primary key in a table without one. What
    ``above`` changed itself stays, save for a row that both changed: it is again as it was below.
    """
    path = above.path.with_suffix(".new")
    pages.remove(path)
    pages.write_file(above.connection, path)
    with closing(sqlite3.connect(f"file:{quote(str(path))}", uri=True)) as connection:
        connection.isolation_level = None
        connection.execute("PRAGMA synchronous = OFF")
        # An attached database's `immutable` is an assertion about the file alone.
        for schema, layer in (("removed", removed), ("below", below)):
            uri = f"file:{quote(str(layer.path))}?immutable=1"
            connection.execute(f"ATTACH ? AS {schema}", (uri,))
        connection.execute("BEGIN")
        _Difference(connection, removed, below).undo()
        connection.execute("COMMIT")
        connection.execute("DETACH removed")
        connection.execute("DETACH below")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    above.renew(path)


class _Difference:
    """What ``removed`` changed against ``below``, to be undone in the connection's database."""

    def __init__(self, connection: sqlite3.Connection, removed: Layer, below: Layer) -> None:
        self._connection = connection
        was, now = below.digest, removed.digest
        self._keys = {key for key in was.keys() | now.keys() if was.get(key) != now.get(key)}
        self._was = {(kind, name): sql for kind, name, _, sql in _objects(connection, "below")}

    def undo(self) -> None:
        """Definitions first, then rows; no trigger fires meanwhile."""
        triggers = [each for each in _objects(self._connection, "main") if each[0] == "trigger"]
        for _, name, _, _ in triggers:
            self._connection.execute(f"DROP TRIGGER main.{quoted(name)}")
        for key in sorted(self._keys):
            kind, _, name = key.partition(" ")
            if kind in ("table", "index", "view"):
                self._undo_definition(kind, name)
        for key in sorted(self._keys):
            if key.startswith("rows of "):
                self._undo_rows(key.removeprefix("rows of "))
            elif key.startswith("pragma "):
                field = key.removeprefix("pragma ")
                value = self._connection.execute(f"PRAGMA below.{field}").fetchone()[0]
                self._connection.execute(f"PRAGMA main.{field} = {value}")
        for _, name, _, sql in triggers:
            if f"trigger {name}" not in self._keys:
                self._connection.execute(sql)
        for (kind, _name), sql in self._was.items():
            if kind == "trigger" and f"trigger {_name}" in self._keys:
                self._connection.execute(sql)

    def _undo_definition(self, kind: str, name: str) -> None:
        if name.startswith("sqlite_"):  # made and dropped by SQLite with what they belong to
            return
        self._connection.execute(f"DROP {kind} IF EXISTS main.{quoted(name)}")
        if (kind, name) in self._was:
            self._connection.execute(self._was[kind, name])
            if kind == "table" and f"rows of {name}" not in self._keys:
                self._keys.add(f"rows of {name}")

    def _undo_rows(self, table: str) -> None:
        """Delete the rows that are new or changed; insert those that are gone or changed."""
        is_there = all(
            any(each[:2] == ("table", table) for each in _objects(self._connection, schema))
            for schema in ("main", "below")
        )
        if not is_there:
            return
        if table == "sqlite_sequence":
            self._undo_sequences()
            return
        run, name = self._connection.execute, quoted(table)
        columns = _columns(self._connection, table)
        key, stored = _key(self._connection, table, columns)
        same_key = " AND ".join(f"a.{column} IS b.{column}" for column in key)
        same_row = " AND ".join(
            f"quote(a.{column}) IS quote(b.{column})" for column in (*key, *stored)
        )
        was_there = f"EXISTS (SELECT 1 FROM below.{name} b WHERE {same_row})"
        if self._has("removed", table):
            run(
                f"DELETE FROM main.{name} WHERE ({', '.join(key)}) IN "
                f"(SELECT {', '.join(f'a.{column}' for column in key)} "
                f"FROM removed.{name} a WHERE NOT {was_there})"
            )
            is_there_still = f"EXISTS (SELECT 1 FROM removed.{name} b WHERE {same_row})"
            condition = f"WHERE NOT {is_there_still}"
        else:
            condition = ""
        columns_to_insert = ", ".join((*key, *stored))
        run(
            f"INSERT OR REPLACE INTO main.{name} ({columns_to_insert}) SELECT "
            f"{', '.join(f'a.{column}' for column in (*key, *stored))} FROM below.{name} a "
            f"{condition}"
        )
        del same_key

    def _has(self, schema: str, table: str) -> bool:
        return any(each[:2] == ("table", table) for each in _objects(self._connection, schema))

    def _undo_sequences(self) -> None:
        """A sequence that nobody advanced further goes back."""
