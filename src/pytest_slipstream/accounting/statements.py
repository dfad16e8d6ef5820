"""What the application's connections take of a test: statements, transactions, connecting.

By SQLAlchemy's own events where it has them for the end of what they tell, else around the calls
of its dialects. The invariant: what SQLAlchemy does is what it would do without, and afterwards it
is what it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextvars import ContextVar
from functools import lru_cache, partial, wraps
from types import ModuleType
from typing import Any

from pytest_slipstream.clock import clock
from pytest_slipstream.import_hook import ImportHook

Charge = Callable[[str, float, float, str], None]
"""Takes a kind, seconds, how many of them the processor worked, and the statement or ""."""

BY_SQLALCHEMY: ContextVar[bool] = ContextVar("slipstream_by_sqlalchemy", default=False)
"""Whether SQLAlchemy is connecting: it tells of its connections itself."""

CALLS = {"connect": "connections", "do_commit": "commits", "do_rollback": "rollbacks"}
_FIRST_WORD = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/|\()*(\w+)", re.DOTALL)
_DDL = frozenset(("create", "alter", "drop", "truncate", "rename", "comment", "grant", "revoke"))
_LOCKING = re.compile(r"\b(?:pg_advisory(?:_xact)?_lock(?:_shared)?|get_lock)\s*\(", re.IGNORECASE)
_TRANSACTION = frozenset(("begin", "start", "savepoint", "release", "set", "end", "abort"))


@lru_cache(maxsize=1024)
def kind(statement: str) -> str:
    """What a statement is counted as."""
    found = _FIRST_WORD.match(statement)
    word = found[1].lower() if found else ""
    if word in _DDL:
        return "DDL statements"
    if word == "lock" or _LOCKING.search(statement):
        return "database locks"
    if word in ("commit", "rollback"):
        return f"{word}s"
    return "transaction control" if word in _TRANSACTION else "queries"


class Statements:
    """Listens to all engines of SQLAlchemy from `put_up` to `take_down`.

    Args:
        charge: Takes what each took, right after it.
        silence: Called with a cursor whose statement is told here.
    """

    def __init__(self, charge: Charge, silence: Callable[[Any], None]) -> None:
        self._charge = charge
        self._silence = silence
        self._hook = ImportHook({"sqlalchemy.engine": self._meet})
        self._undo: list[Callable[[], None]] = []

    def put_up(self) -> None:
        """Listen, now or when SQLAlchemy is imported."""
        self._hook.put_up()

    def take_down(self) -> None:
        """Listen no more."""
        self._hook.take_down()
        while self._undo:
            self._undo.pop()()

    def _meet(self, module: ModuleType) -> None:
        from sqlalchemy import event
        from sqlalchemy.engine.default import DefaultDialect

        for name, listener, returns in (
            ("before_cursor_execute", self._before, True),
            ("after_cursor_execute", self._after, False),
        ):
            # One that returns is not wrapped, so that memoising knows it for slipstream's.
            event.listen(module.Engine, name, listener, retval=returns)
            self._undo.append(partial(event.remove, module.Engine, name, listener))
        for name, counted_as in CALLS.items():
            original = vars(DefaultDialect).get(name)
            if callable(original):
                setattr(DefaultDialect, name, self._around(original, counted_as))
                self._undo.append(partial(setattr, DefaultDialect, name, original))

    def _around(self, original: Callable[..., Any], counted_as: str) -> Callable[..., Any]:
        @wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            began, cpu = clock.seconds(), clock.processor()
            before = BY_SQLALCHEMY.set(True)
            try:
                return original(*args, **kwargs)
            finally:
                BY_SQLALCHEMY.reset(before)
                self._charge(counted_as, clock.seconds() - began, clock.processor() - cpu, "")

        return call

    def _before(self, *told: Any) -> tuple[Any, Any]:
        self._silence(told[1])
        told[4]._slipstream_began = clock.seconds(), clock.processor()
        return told[2], told[3]

    def _after(self, *told: Any) -> None:
        began = getattr(told[4], "_slipstream_began", None)
        if began is not None:
            seconds, cpu = clock.seconds() - began[0], clock.processor() - began[1]
            self._charge(kind(told[2]), seconds, cpu, told[2])
