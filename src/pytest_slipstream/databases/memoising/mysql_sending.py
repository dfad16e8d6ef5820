"""How PyMySQL, and the drivers that are made after it, send other statements than they are given.

The invariant: this is there from the start of every run, so it imports nothing, and a statement
that is not about whole databases costs one look at its beginning.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator
from functools import wraps
from typing import Any

_VERBS = ("create", "drop", "select")
_BEGINNING = 64
_QUERY = 0x03
_SHOW = "SHOW WARNINGS"

Instead = str | Generator[str, Any, None] | None
"""A statement, or those that are sent one after the other and take each other's results; None where
what the application gave is sent."""


def door(
    query: Callable[..., Any], instead: Callable[[Any, Any], Instead], *, is_awaited: bool
) -> Callable[..., Any]:
    """A driver's ``Connection.query``.

    Args:
        query: Its own.
        instead: Says what is sent in the place of a statement about whole databases.
        is_awaited: The driver is asynchronous.
    """
    if is_awaited:
        return _asynchronous(query, instead)

    @wraps(query)
    def replaced(connection: Any, sql: Any, *args: Any, **kwargs: Any) -> Any:
        steps = instead(connection, sql) if concerns(sql) else None
        if steps is None or isinstance(steps, str):
            return query(connection, sql if steps is None else steps, *args, **kwargs)
        take, given = steps.send, None
        while True:
            try:
                statement = take(given)
            except StopIteration:
                return connection._affected_rows
            try:
                query(connection, statement)
                take, given = steps.send, connection._result
            except Exception as error:  # noqa: BLE001 - the steps decide
                take, given = steps.throw, error

    return replaced


def _asynchronous(
    query: Callable[..., Any], instead: Callable[[Any, Any], Instead]
) -> Callable[..., Any]:
    @wraps(query)
    async def replaced(connection: Any, sql: Any, *args: Any, **kwargs: Any) -> Any:
        steps = instead(connection, sql) if concerns(sql) else None
        if steps is None or isinstance(steps, str):
            return await query(connection, sql if steps is None else steps, *args, **kwargs)
        take, given = steps.send, None
        while True:
            try:
                statement = take(given)
            except StopIteration:
                return connection._affected_rows
            try:
                await query(connection, statement)
                take, given = steps.send, connection._result
            except Exception as error:  # noqa: BLE001 - the steps decide
                take, given = steps.throw, error

    return replaced


def concerns(sql: Any) -> bool:
    """Whether a statement may be about whole databases."""
    beginning = sql[:_BEGINNING]
    lowered = (
        beginning if isinstance(beginning, str) else bytes(beginning).decode("latin-1")
    ).lower()
    return lowered.lstrip().startswith(_VERBS) and ("database" in lowered or "schema" in lowered)


class Answers:
    """What SHOW WARNINGS comes to, for each connection whose last statement was replaced."""

    def __init__(self) -> None:
        self.of: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()

    def sending(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """A driver's ``_execute_command``."""

        @wraps(original)
        def answering(connection: Any, command: int, sent: Any, *args: Any) -> Any:
            answer = self.of.pop(connection, None)
            if answer is not None and command == _QUERY and sent in (_SHOW, _SHOW.encode()):
                self.of[connection] = sent = answer
            return original(connection, command, sent, *args)

        return answering
