"""mysqlclient (MySQLdb) at the door, and how its connections join the test's connection."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_slipstream.databases.routing import statements
from pytest_slipstream.databases.routing.drivers import Patch

if TYPE_CHECKING:
    from pytest_slipstream.databases.routing.door import Door

ENGINE = "mysql"
_ABOUT_RESULTS = (
    "affected_rows",
    "field_count",
    "info",
    "insert_id",
    "more_results",
    "next_result",
    "store_result",
    "use_result",
    "warning_count",
    "show_warnings",
)


def patches(module: ModuleType, door: Door) -> list[Patch]:
    """Replace `MySQLdb.connect` and its other names."""
    from MySQLdb import connections

    from pytest_slipstream.databases.routing.drivers.mysql_joined import Shared, door_of

    base: Any = connections.Connection
    made = _class(base)

    def run(connection: Any, text: str) -> None:
        connection.query(text.encode())
        connection.store_result()

    connect = door_of(
        module, base, made, door, lambda opened: Shared(opened, run, module.MySQLError)
    )
    names = [name for name in ("connect", "Connect", "Connection") if name in vars(module)]
    return [Patch(module, name, connect) for name in names]


def _class(base: Any) -> Any:
    """The driver's class of connections, with joining mixed in."""
    from pytest_slipstream.databases.routing.drivers.mysql_joined import Joined

    class Connection(Joined, base):  # type: ignore[misc]
        driver = "mysqlclient"
        _began = False

        def is_in_own_transaction(self) -> bool:
            return self._began

        def query(self, query: Any) -> None:
            passed, _ = self.pass_on(query, lambda connection, text: connection.query(_bytes(text)))
            if not passed:
                # The driver does not tell whether a transaction is open.
                is_setting = statements.read(_text(query), ENGINE).kind is statements.Kind.SETTING
                self._began |= not (is_setting or self.get_autocommit())
                super().query(query)

        def commit(self) -> None:
            super().commit()
            self._began = False

        def rollback(self) -> None:
            super().rollback()
            self._began = False

    def answered(name: str) -> Any:
        def ask(self: Any, *args: Any) -> Any:
            return getattr(self.answering or super(Connection, self), name)(*args)

        return ask

    for name in _ABOUT_RESULTS:
        if hasattr(base, name):
            setattr(Connection, name, answered(name))
    Connection.__module__, Connection.__qualname__ = base.__module__, base.__qualname__
    return Connection


def _text(query: Any) -> str:
    return query if isinstance(query, str) else bytes(query).decode("utf-8", "replace")


def _bytes(text: Any) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)
