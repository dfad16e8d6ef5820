"""Tells what one connection of the application's does, as it is counted.

The invariant: what lies within a call that is told is part of it, and not told again.
"""

from __future__ import annotations

from typing import Any

from pytest_slipstream.accounting.statements import Charge, kind
from pytest_slipstream.clock import clock


class Teller:
    """Tells what one connection does.

    Args:
        charge: Takes what each call took, right after it.
    """

    __slots__ = ("_charge", "is_busy")

    def __init__(self, charge: Charge) -> None:
        self._charge = charge
        self.is_busy = False

    def telling(self, counted_as: str, statement: str = "") -> Telling:
        """A context in which the connection does something."""
        return Telling(self, self._charge, counted_as, statement)


class Telling:
    """What lies within another one is part of that."""

    __slots__ = ("_began", "_charge", "_counted_as", "_cpu", "_statement", "_teller")

    def __init__(self, teller: Teller, charge: Charge, counted_as: str, statement: str) -> None:
        self._teller = None if teller.is_busy else teller
        self._charge = charge
        self._counted_as, self._statement = counted_as, statement

    def __enter__(self) -> None:
        if self._teller is not None:
            self._teller.is_busy = True
            self._began, self._cpu = clock.seconds(), clock.processor()

    def __exit__(self, *error: object) -> None:
        if self._teller is not None:
            self._teller.is_busy = False
            seconds, cpu_s = clock.seconds() - self._began, clock.processor() - self._cpu
            self._charge(self._counted_as, seconds, cpu_s, self._statement)


def told_as(statement: Any, connection: Any = None) -> tuple[str, str]:
    """What a statement is counted as, and its text."""
    if isinstance(statement, str):
        return kind(statement), statement
    if isinstance(statement, bytes):
        text = statement.decode(errors="replace")
    elif hasattr(statement, "as_string"):  # psycopg's sql.Composable
        text = statement.as_string(connection)
    else:
        text = str(statement)
    return kind(text), text


SILENT = Teller(lambda *told: None)
"""Of a connection that tells nothing."""

SILENT.is_busy = True
