"""How PyMySQL, and the drivers that are made after it, send other statements than they are given.

The invariant: this is there from the start of every run, so it imports nothing, and a statement
that is not about whole databases costs one look at its beginning.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator
from functools import partial, wraps
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
        turns = _Turns(steps)
        while (statement := turns.next()) is not None:
            try:
                query(connection, statement)
            except Exception as error:  # noqa: BLE001 - the steps decide
                turns.failed(error)
            else:
                turns.came_to(connection._result)
        return connection._affected_rows

    return replaced


def _asynchronous(
    query: Callable[..., Any], instead: Callable[[Any, Any], Instead]
) -> Callable[..., Any]:
    @wraps(query)
    async def replaced(connection: Any, sql: Any, *args: Any, **kwargs: Any) -> Any:
        steps = instead(connection, sql) if concerns(sql) else None
        if steps is None or isinstance(steps, str):
            return await query(connection, sql if steps is None else steps, *args, **kwargs)
        turns = _Turns(steps)
        while (statement := turns.next()) is not None:
            try:
                await query(connection, statement)
            except Exception as error:  # noqa: BLE001 - the steps decide
                turns.failed(error)
            else:
                turns.came_to(connection._result)
        return connection._affected_rows

    return replaced


class _Turns:
    """Steps, and what the last of them has come to."""

    def __init__(self, steps: Generator[str, Any, None]) -> None:
        self._steps = steps
        self._go_on = partial(steps.send, None)

    def next(self) -> str | None:
        """What is sent now; None at the end."""
        try:
            return self._go_on()
        except StopIteration:
            return None

    def came_to(self, result: Any) -> None:
        """It was sent."""
        self._go_on = partial(self._steps.send, result)

    def failed(self, error: Exception) -> None:
        """It could not be sent, or the server refused it."""
        self._go_on = partial(self._steps.throw, error)


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
