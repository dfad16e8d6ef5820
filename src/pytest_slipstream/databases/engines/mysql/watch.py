"""What the server's own counters tell of a slot: who wrote where, and what is still open.

MariaDB counts changed rows by table (`userstat`), MySQL writes by table (`performance_schema`);
both at the end of a statement, whether it is committed or not. The next AUTO_INCREMENT value of a
table tells of failed inserts too. The invariant: two equal readings of a slot without open
transactions mean that nothing was written in between but by actions of foreign keys, which
`Blueprint.reached` adds.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from pytest_slipstream.databases.engines.mysql import content
from pytest_slipstream.databases.engines.mysql.leftovers import (
    Transaction,
    open_transactions,
)
from pytest_slipstream.databases.engines.mysql.rights import Rights
from pytest_slipstream.databases.engines.mysql.sessions import Row, Session, literal

# PyMySQL is slow with many rows, so each answer is one text. No name has the character NUL in it.
_WRITTEN = {
    "mariadb": "SELECT GROUP_CONCAT(table_schema, ' ', rows_changed, ' - ', table_name "
    "SEPARATOR X'00') FROM information_schema.table_statistics WHERE table_schema = {database} "
    "OR table_schema = 'mysql' AND table_name IN ('proc', 'event')",
    "mysql": "SELECT GROUP_CONCAT(object_schema, ' ', count_write, ' ', count_insert, ' ', "
    "object_name SEPARATOR X'00') FROM performance_schema.table_io_waits_summary_by_table "
    "WHERE object_type = 'TABLE' AND object_schema = {database}",
}
# How many rows InnoDB's tables have is an estimate, and tells nothing.
_TABLES = """
SELECT GROUP_CONCAT(
    if(engine = 'InnoDB', 0, coalesce(table_rows, 0)), ' ', coalesce(auto_increment, 0), ' ',
    table_name SEPARATOR X'00'
) FROM information_schema.tables
WHERE table_schema = {database} AND (auto_increment IS NOT NULL OR engine <> 'InnoDB')
"""
_IDS = {
    "mariadb": "SELECT name, table_id FROM information_schema.innodb_sys_tables "
    "WHERE left(name, {length}) = {folder}",
    "mysql": "SELECT name, table_id FROM information_schema.innodb_tables "
    "WHERE left(name, {length}) = {folder}",
}
# MySQL shows these counters in none of its tables.
_DEFINING = "SHOW GLOBAL STATUS WHERE variable_name IN ({names})"
_MADE = ("event", "function", "index", "library", "package", "procedure", "sequence", "table")
_VERBS = {
    "alter": ("db", "event", "function", "library", "procedure", "table", "sequence"),
    "create": (*_MADE, "package_body", "trigger", "view"),
    "drop": (*_MADE, "db", "package_body", "trigger", "view"),
}
COMMANDS = (
    *(f"Com_{verb}_{what}" for verb, objects in _VERBS.items() for what in objects),
    *("Com_import", "Com_rename_table", "Com_truncate"),
)
_DEFINITION_FILES = (".frm", ".TRG", ".TRN", ".opt")


class Reading(msgspec.Struct, frozen=True):
    """What the counters said at one moment.

    ``signature`` and ``routines`` are equal while nothing can have been defined otherwise or
    truncated. ``inserted``: how often MySQL was told to insert. ``rows``: how many the tables of
    other engines than InnoDB have.
    """

    written: Mapping[str, object]
    inserted: Mapping[str, int]
    rows: Mapping[str, int]
    positions: Mapping[str, int]
    signature: object
    routines: object
    transactions: tuple[Transaction, ...] = ()

    def changed_since(self, before: Reading) -> set[str]:
        """Tables that were written to; without what actions of foreign keys wrote."""
        return _differing(self.written, before.written) | _differing(self.rows, before.rows)

    def moved_from(self, positions: Mapping[str, int]) -> set[str]:
        """Tables whose next AUTO_INCREMENT value is another.

        MySQL does not know that of a table which nobody has read since it was made or truncated.
        """
        return {name for name, number in positions.items() if self.positions.get(name, 1) != number}

    def hidden_since(self, before: Reading) -> set[str]:
        """Tables that may have another next AUTO_INCREMENT value than the server says.

        MySQL keeps one on disk, too, which an insert that fails may move; it is read when the
        server next opens the table.
        """
        return {
            name
            for name in _differing(self.inserted, before.inserted)
            if self.positions.get(name, 1) == before.positions.get(name, 1)
        }

    def after(
        self,
        done: Iterable[tuple[str, str, int]],
        positions: Mapping[str, int],
        signature: object,
    ) -> Reading:
        """The reading once statements of slipstream's own have run.

        Args:
            done: Table, statement, and how many rows that changed.
            positions: The values that were set.
            signature: What it is then.
        """
        written, inserted = dict(self.written), dict(self.inserted)
        for name, text, count in done:
            written[name] = int(str(written.get(name, 0))) + count
            if text.startswith("INSERT"):
                inserted[name] = inserted.get(name, 0) + count
        return msgspec.structs.replace(
            self,
            written=written,
            inserted=inserted,
            positions={**self.positions, **positions},
            signature=signature,
        )


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to see a slot by.

    ``data``: the server's data directory, where its files tell of definitions.
    """

    rights: Rights
    data: Path | None


class Watch:
    """Reads the counters of one slot; of a server that has none, the whole content instead.

    Args:
        session: Reads them.
        database: The slot.
        sight: What there is to see it by.
    """

    def __init__(self, session: Session, database: str, sight: Sight) -> None:
        self._session = session
        self._database = database
        self._files = sight.data / database if sight.data is not None else None
        self._counts = sight.rights.counts
        self._sees = sight.rights.unseen is None
        flavour, folder = session.flavour, f"{database}/"
        self._ids = _IDS[flavour].format(length=len(folder), folder=literal(folder))
        self._defining = _DEFINING.format(names=", ".join(map(literal, COMMANDS)))
        self._statements = [
            _WRITTEN[flavour].format(database=literal(database)),
            _TABLES.format(database=literal(database)),
            sight.rights.question if self._sees else "SELECT '', '', ''",
        ]
        self._counts_definitions = self._counts and self._files is None
        if self._counts_definitions:
            self._statements.append(self._defining)
        if not self._counts:
            self._statements[0] = "SELECT NULL"

    def look(self) -> Reading:
        """Read the counters now."""
        signature = None if self._counts_definitions else self.signature()
        counted, found, status, *defined = (
            rows for _, rows in self._session.results(self._statements)
        )
        counts, tables = _lines(counted[0], 4), _lines(found[0], 3)
        routines = sorted(line for line in counts if line[0] == "mysql")
        own = [(name, count, new) for schema, count, new, name in counts if schema != "mysql"]
        written = {name: int(count) for name, count, _ in own}
        return Reading(
            inserted={name: int(new) for name, _, new in own if new != "-"},
            written=written if self._counts else content.rows_in(self._session, self._database),
            rows={name: int(rows) for rows, _, name in tables},
            positions={name: int(position) or 1 for _, position, name in tables},
            signature=_total(defined[0]) if defined else signature,
            routines=routines,
            transactions=open_transactions(self._session, self._database, status[0]),
        )

    def signature(self) -> object:
        """A reading's signature alone: statements of slipstream's own change it too."""
        if not self._counts:
            return content.definitions_in(self._session, self._database)
        if self._files is None:
            return _total(self._session.rows(self._defining))
        return _signature_of(self._files)

    def signature_after(self, before: object, altered: Collection[str]) -> object:
        """The signature ``before``, once slipstream itself has altered some tables.

        Only their files are read again, or their statements counted: what others define meanwhile
        is noticed by the next reading.
        """
        if isinstance(before, int):
            return before + len(altered)
        names = {f"{table}.frm" for table in altered}
        partitions = {f"{table}.par" for table in altered}
        if self._files is None or not isinstance(before, tuple):
            return self.signature()
        files = before[1]
        if names - files.keys() or partitions & files.keys():  # encoded names, many files a table
            return self.signature()
        try:
            found = {name: (self._files / name).stat() for name in names}
            made = self._files.stat().st_mtime_ns
        except OSError:
            return object()
        return made, files | {name: (one.st_ino, one.st_mtime_ns) for name, one in found.items()}

    def ids(self) -> dict[str, tuple[int, ...]]:
        """InnoDB's ids of the files of the slot's tables, by their encoded names."""
        if not self._sees:
            return {}
        ids: dict[str, tuple[int, ...]] = {}
        for path, number in sorted(self._session.rows(self._ids)):
            name = str(path).partition("/")[2].partition("#")[0].lower()
            ids[name] = (*ids.get(name, ()), int(number))
        return ids

    def tables_of(self, files: set[str], tables: Sequence[str]) -> set[str]:
        """The tables with these encoded names; all, if one is encoded in a way not known here.

        InnoDB's own files of a FULLTEXT index belong to none.
        """
        encoded = {_encoded(name): name for name in tables}
        if any("@" in file for file in files - encoded.keys()):
            return set(tables)
        return {encoded[file] for file in files & encoded.keys()}


def _lines(answer: Row, fields: int) -> list[list[str]]:
    """Fields without spaces, and a name as the last of them, of each line."""
    text = str(answer[0] or "")
    return [line.split(" ", fields - 1) for line in text.split("\0") if line]


def _total(counters: Sequence[Row]) -> int:
    return sum(int(count) for _, count in counters)


def _encoded(name: str) -> str:
    """A table's name as it stands in a file's; other letters than ASCII's have their own codes."""
    letters = (one if one.isalnum() or one == "_" else f"@{ord(one):04x}" for one in name.lower())
    return "".join(letters)


def _signature_of(directory: Path) -> object:
    """MariaDB keeps definitions in files of their own, and replaces a file to change one.

    TRUNCATE makes a new file of rows, whose number may be one that was free: then at least the
    directory's time is another.
    """
    try:
        made = directory.stat().st_mtime_ns
        with os.scandir(directory) as entries:
            files = {entry.name: (entry.inode(), _time(entry)) for entry in entries}
    except OSError:
        return object()  # It cannot be read or changes just now: equal to no other.
    return made, files


def _time(entry: os.DirEntry[str]) -> int:
    if not entry.name.endswith(_DEFINITION_FILES):
        return 0
    return entry.stat(follow_symlinks=False).st_mtime_ns


def _differing(now: Mapping[str, object], before: Mapping[str, object]) -> set[str]:
    return {name for name, number in now.items() if before.get(name, 0) != number}
