"""Alembic's ``upgrade``, ``downgrade`` and ``stamp``, also by Flask-Migrate: done as written until
it is known twice over what they come to, and then restored.

What stands in is `MigrationContext.run_migrations` alone. The project's ``env.py`` runs each time:
which database is meant, in which transaction, and what is logged is its own. The invariant: what is
restored came out equal twice, of the same files, from a database that looked the same.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any

import msgspec
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData
from sqlalchemy.engine import Connection

from pytest_slipstream.databases.audit import compare
from pytest_slipstream.databases.memoising.alembic.places import (
    Image,
    Looks,
    Place,
    PostgresqlPlace,
    SqlitePlace,
)
from pytest_slipstream.databases.memoising.alembic.scripts import Scripts
from pytest_slipstream.databases.memoising.alembic.settings import settings
from pytest_slipstream.databases.memoising.alembic.statements import (
    Recorder,
    Statement,
    has_time,
)
from pytest_slipstream.databases.memoising.alembic.swap import Change, Swaps
from pytest_slipstream.databases.memoising.attempts import Attempt, Attempts
from pytest_slipstream.databases.memoising.checking import Checking
from pytest_slipstream.databases.memoising.ledger import Ledger, UnknownResultError
from pytest_slipstream.databases.memoising.mysql.on_mysql import (
    PRODUCT,
    OnMysql,
    refuse_without_pymysql,
)
from pytest_slipstream.databases.memoising.sqlalchemy.calls import (
    PRODUCTS,
    begin_by_itself,
    refuse_listeners,
)
from pytest_slipstream.databases.memoising.sqlalchemy.snapshot import DialectKeys
from pytest_slipstream.databases.memoising.worth import Worth

if TYPE_CHECKING:
    from pytest_slipstream.databases.memoising.alembic.turns import Turn, Turns

KEPT = 64
"""How many results are remembered, each with its image."""
_ANY = "any rows"
_METHOD = "run_migrations"
COMMANDS = {
    "upgrade.<locals>.upgrade": "upgrade",
    "downgrade.<locals>.downgrade": "downgrade",
    "stamp.<locals>.do_stamp": "stamp",
}


class Call(msgspec.Struct, frozen=True):
    """One run of migrations: all that its result depends on is ``operation``, and the database.

    ``frame`` is the transaction that Alembic gives to each migration, if any.
    """

    label: str
    command: str
    operation: Hashable
    place: Place
    connection: Connection
    version_table: str
    is_inside: bool
    frame: Callable[[], AbstractContextManager[Any]]
    as_written: Callable[[], None]
    make_version_table: Callable[[str], None]


class Way(msgspec.Struct, frozen=True):
    """How a result is restored: ``restore`` says whether it could be, ``rehearse`` tells what would
    be there then; ``sent`` is what it sends, if it is that which restores."""

    name: str
    restore: Callable[[], bool]
    rehearse: Callable[[], dict[str, str]]
    sent: tuple[Statement, ...] = ()


class Memo:
    """What a call came to; ``confirmed`` are the ways that led to what it came to another time."""

    def __init__(self, call: Call, looks: Looks, recorded: Recorder) -> None:
        own, place = call.version_table, call.place
        self.confirmed: set[str] = set()
        self.after: dict[str, str] | None = None
        self.problem = recorded.problem
        self.begins = call.connection.in_transaction()
        statements = recorded.statements
        depending = [one for one in statements if not one.ignores_rows(own)]
        self.ignores_rows = not depending and not looks.rows_matter
        self._statements = tuple(one for one in statements if not one.is_read(place.product, own))
        self._image: Image | None = None
        if self._statements and all(one.is_of_image() for one in statements):
            self._image = place.image()
        if self._image is not None and not self._fits(self._image, looks):
            self._image = None
        rows = self._image.rows if self._image is not None else ()
        telling = [one for one in statements if not one.is_of_versions(own)]
        if has_time((rows, [(one.text, one.parameters) for one in telling])):
            self.problem = "rows with the time at which they were made"
        if not all(one.is_read(place.product, own) for one in recorded.failed):
            self.problem = "a migration with a statement that fails"

    @property
    def detail(self) -> str:
        """What the summary tells apart, since it takes another time."""
        return "" if self._statements else ", nothing to do"

    def way(self, call: Call, looks: Looks) -> Way:
        """How to restore it in a database that looks so."""
        place, image = call.place, self._image

        def replay() -> bool:
            with call.frame():
                place.replay(self._statements)
            return True

        if not self._statements:
            return Way("nothing", lambda: True, lambda: place.rehearse(()))
        if image is not None and self._fits(image, looks):
            return Way("image", lambda: place.put(image), image.content)
        sent = self._statements
        return Way("replay", replay, lambda: place.rehearse(sent), sent)

    def _fits(self, image: Image, looks: Looks) -> bool:
        is_blank = looks.rows is None or (self.ignores_rows and image.is_bare)
        return is_blank and not looks.is_inside


class AlembicCalls:
    """Stands in for the method from `put_up` to `take_down`."""

    def __init__(self, ledger: Ledger, checking: Checking, on_mysql: OnMysql) -> None:
        self._ledger = ledger
        self._checking = checking
        self._on_mysql = on_mysql
        self._dialects = DialectKeys()
        self._scripts = Scripts()
        self._swaps = Swaps()
        self._turns: Turns | None = None
        self._memos: OrderedDict[Hashable, Memo] = OrderedDict()
        self._attempts = Attempts(ledger, checking)
        self._worths: dict[Hashable, Worth] = {}
        self._original: Callable[..., None] = vars(MigrationContext)[_METHOD]

    def put_up(self) -> None:
        """Replace the method."""
        original = self._original

        @functools.wraps(original)
        def run_migrations(context: MigrationContext, **options: Any) -> None:
            function = context.opts.get("fn")
            command = COMMANDS.get(getattr(function, "__qualname__", ""))
            if command is None or function.__module__ != "alembic.command":
                original(context, **options)  # it may be anybody's
            else:
                self._run(context, command, options)

        setattr(MigrationContext, _METHOD, run_migrations)

    def take_down(self) -> None:
        """Put it back."""
        setattr(MigrationContext, _METHOD, self._original)
        self._memos.clear()
        self._swaps.leave()
        self._turns = None

    def _run(self, context: MigrationContext, command: str, options: dict[str, Any]) -> None:
        """Restore what the call comes to, or let it run and learn from it."""
        product = PRODUCTS.get(context.dialect.name, context.dialect.name)
        label = f"alembic {command} on {product}"
        as_written = functools.partial(self._original, context, **options)
        operation = (command, repr(context.opts.get("destination_rev")))
        attempt = self._attempts.begin(label, self._worth_of(context, product), operation)
        if attempt is None:
            as_written()
            return
        memo = way = expected = None
        unknown = None
        try:
            call = self._call(context, label, options, attempt)
            if self._swapped(call, attempt):
                return
            looks = call.place.look()
            memo = self._known(call, looks)
            if memo is not None:
                way = memo.way(call, looks)
                if way.name in memo.confirmed and self._restored(call, looks, memo, way):
                    attempt.replaced(memo.detail)
                    return
                expected = way.rehearse()
        except UnknownResultError as reason:
            unknown = str(reason)
        if unknown is not None:
            attempt.refused(unknown)
            with attempt.writing():
                as_written()
            return
        if memo is None or way is None or expected is None:
            self._learn(call, looks, attempt)
        else:
            self._compare(call, looks, memo, way, expected, attempt)

    def _swapped(self, call: Call, attempt: Attempt) -> bool:
        """Whether tables went out of sight or came back, which is all there was to do."""
        change: Change | Turn | None = self._swaps.find(call.place, call.operation)
        if self._turns is not None:
            change = self._turns.find(call.place, call.operation, call.frame)
        if change is None:
            return False
        is_due = self._checking.is_due(call.label)
        if call.command == "upgrade" and is_due:
            expected = change.rehearse()
            call.as_written()
            attempt.replaced()
            self._checking.compare(call.label, call.place.content(), expected)
            return True
        if not change.apply():
            return False
        attempt.replaced()
        return True

    def _restored(self, call: Call, looks: Looks, memo: Memo, way: Way) -> bool:
        """Whether it is done; otherwise a check is due."""
        is_due = self._checking.is_due(call.label + memo.detail)
        if call.command == "downgrade" and memo.ignores_rows and way.name == "replay":
            is_made = self._swaps.make(  # which compares it with what it came to
                call.place, call.operation, memo.after, call.make_version_table
            )
            if is_made:
                return True
        if is_due:
            return False
        if not way.restore():
            raise UnknownResultError("a database that somebody reads or writes")
        self._note(call, looks, way)
        if memo.begins:
            begin_by_itself(call.connection)
        return True

    def _note(self, call: Call, looks: Looks, way: Way) -> None:
        """Look at tables that have just been made and could change places with none."""
        if way.name != "replay":
            return
        with suppress(UnknownResultError):
            if call.command == "upgrade":
                self._swaps.note(call.place, call.operation, looks)
            if self._turns is not None:
                self._turns.note(call.place, call.operation, looks, way.sent, call.command)

    def _learn(self, call: Call, looks: Looks, attempt: Attempt) -> None:
        with Recorder(call.connection, may_commit=not call.is_inside) as recorded:
            call.as_written()
        detail = ""
        problem: str | None = "somebody else who writes"
        with suppress(UnknownResultError):  # somebody else writes, too
            memo = Memo(call, looks, recorded)
            detail, problem = memo.detail, memo.problem
            rows = _ANY if memo.ignores_rows else looks.rows
            self._memos[call.operation, looks.schema, rows] = memo
        while len(self._memos) > KEPT:
            self._memos.popitem(last=False)
        attempt.made(detail, problem)

    def _known(self, call: Call, looks: Looks) -> Memo | None:
        for rows in (looks.rows, *(() if looks.rows_matter else (_ANY,))):
            memo = self._memos.get((call.operation, looks.schema, rows))
            if memo is not None and memo.problem is not None:
                raise UnknownResultError(memo.problem)
            if memo is not None:
                return memo
        return None

    def _compare(
        self,
        call: Call,
        looks: Looks,
        memo: Memo,
        way: Way,
        expected: dict[str, str],
        attempt: Attempt,
    ) -> None:
        """Let it run as written, and hold what would have been restored to what it made."""
        made = call.place.perform(call.as_written, may_commit=not call.is_inside)
        if way.name in memo.confirmed:
            attempt.replaced(memo.detail)
            self._checking.compare(call.label + memo.detail, made, expected)
            self._note(call, looks, way)
            return
        if compare(made, expected):
            memo.problem = "migrations that come to something else each time"
        else:
            memo.confirmed.add(way.name)
            memo.after = made
            self._note(call, looks, way)
        attempt.made(memo.detail, memo.problem)

    def _worth_of(self, context: MigrationContext, product: str) -> Worth:
        return self._worths.setdefault((getattr(context.script, "dir", None), product), Worth())

    def _place(self, product: str, connection: Connection, version_table: str) -> Place:
        if product == "sqlite":
            return SqlitePlace(connection, version_table)
        if product == "postgresql":
            return PostgresqlPlace(connection, version_table)
        if PRODUCTS.get(product) != PRODUCT:
            raise UnknownResultError("another product")
        refuse_without_pymysql()
        from pytest_slipstream.databases.memoising.alembic.on_mysql import MysqlPlace
        from pytest_slipstream.databases.memoising.alembic.turns import Turns

        self._turns = self._turns or Turns()
        return MysqlPlace(connection, version_table, self._on_mysql)

    def _call(
        self,
        context: MigrationContext,
        label: str,
        options: dict[str, Any],
        attempt: Attempt,
    ) -> Call:
        connection = context.connection
        if context.as_sql or connection is None:
            raise UnknownResultError("statements that are only written down")
        refuse_listeners(connection)
        script = context.script
        if type(script) is not ScriptDirectory:
            raise UnknownResultError("a directory of scripts of the project's own kind")
        versions = tuple(str(place) for place in script._version_locations)
        operation = (
            label,
            settings(context, options),
            self._dialects.of(context.dialect),
            self._scripts.key(script.dir, versions),
            context._in_external_transaction,
        )
        return Call(
            label=label,
            command=COMMANDS[context.opts["fn"].__qualname__],
            operation=operation,
            place=self._place(context.dialect.name, connection, context.version_table),
            connection=connection,
            version_table=context.version_table,
            is_inside=context._in_external_transaction,
            frame=functools.partial(context.begin_transaction, _per_migration=True),
            as_written=attempt.as_written(functools.partial(self._original, context, **options)),
            make_version_table=functools.partial(_make_version_table, context),
        )


def _make_version_table(context: MigrationContext, schema: str) -> None:
    assert context.connection is not None
    table = context._version.to_metadata(MetaData(), schema=schema)
    table.create(context.connection, checkfirst=False)
