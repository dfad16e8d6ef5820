"""PyMySQL at the door, and how its connections join the test's connection."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_slipstream.databases.routing.drivers import Patch

if TYPE_CHECKING:
    from pytest_slipstream.databases.routing.door import Door

ENGINE = "mysql"
_IN_TRANSACTION = 1  # SERVER_STATUS_IN_TRANS


def patches(module: ModuleType, door: Door) -> list[Patch]:
    """Replace `pymysql.connect`, and `pymysql.Connect`, which is the same.

    They are the class itself, which stays as it is under the name of `pymysql.Connection`.
    """
    from pytest_slipstream.databases.routing.drivers.mysql_joined import Shared, door_of

    base: Any = module.connections.Connection
    made = _class(base)

    def run(connection: Any, text: str) -> None:
        connection.query(text)

    connect = door_of(
        module, base, made, door, lambda opened: Shared(opened, run, module.err.MySQLError)
    )
    return [Patch(module, "connect", connect), Patch(module, "Connect", connect)]


def _class(base: Any) -> Any:
    """The driver's class of connections, with joining mixed in."""
    from pytest_slipstream.databases.routing.drivers.mysql_joined import Joined

    class Connection(Joined, base):  # type: ignore[misc]
        driver = "pymysql"

        def is_in_own_transaction(self) -> bool:
            return bool(self.server_status & _IN_TRANSACTION)

        def query(self, sql: Any, unbuffered: bool = False) -> Any:
            passed, affected = self.pass_on(
                sql, lambda connection, text: connection.query(text, unbuffered)
            )
            if not passed:
                return super().query(sql, unbuffered)
            self._take_answer()
            return affected

        def next_result(self, unbuffered: bool = False) -> Any:
            if self.answering is None:
                return super().next_result(unbuffered)
            affected = self.answering.next_result(unbuffered)
            self._take_answer()
            return affected

        def show_warnings(self) -> Any:
            if self.answering is None:
                return super().show_warnings()
            return self.answering.show_warnings()

        def _take_answer(self) -> None:
            self._result = self.answering._result
            self._affected_rows = self.answering._affected_rows

    Connection.__module__, Connection.__qualname__ = base.__module__, base.__qualname__
    return Connection
