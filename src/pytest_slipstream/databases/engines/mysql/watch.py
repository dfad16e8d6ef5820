"""What the server's own counters tell of a slot: who wrote where, and what is still open.

MariaDB counts changed rows by table (`userstat`), MySQL writes by table (`performance_schema`);
both at the end of a statement, whether it is committed or not. InnoDB tells each table's id, which
TRUNCATE changes, and its next AUTO_INCREMENT value, which also a failed insert moves. The
invariant: two equal readings of a slot without open transactions mean that nothing was written in
between but by actions of foreign keys, which `Blueprint.reached` adds.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from pytest_slipstream.databases.engines.mysql.blueprint import Blueprint
from pytest_slipstream.databases.engines.mysql.leftovers import (
    STATUS,
    Transaction,
    open_transactions,
)
from pytest_slipstream.databases.engines.mysql.sessions import Row, Session, literal

_WRITTEN = {
    "mariadb": "SELECT table_schema, table_name, rows_changed FROM "
    "information_schema.table_statistics WHERE table_schema = {database} "
    "OR table_schema = 'mysql' AND table_name IN ('proc', 'event')",
    "mysql": "SELECT object_schema, object_name, count_write FROM "
    "performance_schema.table_io_waits_summary_by_table "
    "WHERE object_type = 'TABLE' AND object_schema = {database}",
}
_INNODB = {
    "mariadb": "SELECT name, table_id, autoinc FROM information_schema.innodb_sys_tablestats "
    "WHERE left(name, {length}) = {folder}",
    "mysql": "SELECT name, table_id, autoinc FROM information_schema.innodb_tablestats "
    "WHERE left(name, {length}) = {folder}",
}
_OTHER_TABLES = """
SELECT table_name, concat(table_rows, ' rows'), coalesce(auto_increment, 0)
FROM information_schema.tables WHERE table_schema = {database} AND table_name IN ({names})
"""
_STATUS = {
    "mariadb": "SELECT sum(variable_value) FROM information_schema.global_status "
    "WHERE variable_name IN ({names})",
    "mysql": "SELECT sum(variable_value) FROM performance_schema.global_status "
    "WHERE variable_name IN ({names})",
}
_DEFINING = (
    *(f"Com_alter_{what}" for what in ("db", "event", "function", "procedure", "table")),
    *(f"Com_create_{what}" for what in ("event", "function", "index", "procedure", "table")),
    *(f"Com_create_{what}" for what in ("trigger", "view", "sequence", "udf", "package")),
    *(f"Com_drop_{what}" for what in ("event", "function", "index", "procedure", "table")),
    *(f"Com_drop_{what}" for what in ("trigger", "view", "sequence", "db", "package")),
    "Com_rename_table",
)
_DEFINITION_FILES = (".frm", ".TRG", ".TRN", ".opt")


class Reading(msgspec.Struct, frozen=True):
    """What the counters said at one moment.

    ``definitions`` is equal while nothing can have been defined otherwise.
    """

    written: Mapping[str, int]
    ids: Mapping[str, object]
    positions: Mapping[str, int]
    definitions: object
    transactions: tuple[Transaction, ...] = ()

    def changed_since(self, before: Reading) -> set[str]:
        """Tables that were written to; without what actions of foreign keys wrote."""
        counted = {
            name for name, number in self.written.items() if before.written.get(name, 0) != number
        }
        made_anew = {name for name, ids in self.ids.items() if before.ids.get(name) != ids}
        return counted | made_anew

    def moved_since(self, before: Reading) -> set[str]:
        """Tables whose next AUTO_INCREMENT value is another."""
        return {
            name
            for name, position in self.positions.items()
            if before.positions.get(name, position) != position
        }


class Watch:
    """Reads the counters of one slot.

    Args:
        session: Reads them.
        database: The slot.
        blueprint: What is in it.
        data: The server's data directory, where this process may read it.
    """

    def __init__(
        self, session: Session, database: str, blueprint: Blueprint, data: Path | None
    ) -> None:
        self._session = session
        self._database = database
        self._files = data / database if data is not None else None
        flavour = session.flavour
        folder = f"{database}/"
        self._names = _file_names(session, blueprint)
        self._statements = [
            _WRITTEN[flavour].format(database=literal(database)),
            _INNODB[flavour].format(length=len(folder), folder=literal(folder)),
            STATUS,
        ]
        others = [table.name for table in blueprint.tables.values() if table.engine != "InnoDB"]
        if others:
            names = ", ".join(map(literal, others))
            self._statements.append(_OTHER_TABLES.format(database=literal(database), names=names))
        if self._files is None:
            names = ", ".join(map(literal, _DEFINING))
            self._statements.append(_STATUS[flavour].format(names=names))
        self._has_others = bool(others)

    def look(self) -> Reading:
        """Read the counters now."""
        definitions: list[object] = []
        if self._files is not None:
            definitions += _definition_files(self._files)
        found = [rows for _, rows in self._session.results(self._statements)]
        if self._files is None:
            definitions += found.pop()
        written = {name: int(count) for schema, name, count in found[0] if schema != "mysql"}
        definitions += sorted(row for row in found[0] if row[0] == "mysql")
        ids, positions = self._by_table(found[1])
        for name, rows, position in found[3] if self._has_others else ():
            ids[name], positions[name] = (rows,), int(position)
        transactions = open_transactions(self._session, self._database, str(found[2][0][2]))
        return Reading(written, ids, positions, definitions, transactions)

    def definitions(self) -> object:
        """The part of a reading that the files give; None where it is the server's."""
        return None if self._files is None else _definition_files(self._files)

    def _by_table(self, rows: Iterable[Row]) -> tuple[dict[str, object], dict[str, int]]:
        """The numbers of InnoDB's tables, those of partitions together."""
        ids: dict[str, object] = {}
        positions: dict[str, int] = {}
        for path, number, position in sorted(rows):
            file = str(path).partition("/")[2].partition("#")[0]
            name = self._names.get(file.lower(), file)
            ids[name] = (*ids.get(name, ()), int(number))  # type: ignore[misc]
            positions[name] = max(positions.get(name, 0), int(position))
        return ids, positions


def _file_names(session: Session, blueprint: Blueprint) -> dict[str, str]:
    """The tables by the names of their files, in lower case."""
    found = session.results(
        f"SELECT CAST(CONVERT({literal(name)} USING filename) AS BINARY)"
        for name in blueprint.tables
    )
    return {
        bytes(rows[0][0]).decode().lower(): name
        for name, (_, rows) in zip(blueprint.tables, found, strict=True)
    }


def _definition_files(directory: Path) -> list[object]:
    """MariaDB keeps definitions in files of their own, and replaces a file to change one."""
    try:
        with os.scandir(directory) as entries:
            files = [entry for entry in entries if entry.name.endswith(_DEFINITION_FILES)]
            stats = [(entry.name, entry.stat(follow_symlinks=False)) for entry in files]
    except OSError:
        return []
    return [
        (name, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns)
        for name, stat in sorted(stats, key=lambda pair: pair[0])
    ]
