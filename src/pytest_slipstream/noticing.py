"""Notices what a switch for suites that are left as they are would save, where none is set.

It is in every run, so it waits until a library is imported, and then adds two looks at a clock to a
call that takes a thousand times longer. The invariant: what the calls do is not changed.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from types import ModuleType
from typing import Any

import pytest

from pytest_slipstream.import_hook import ImportHook

LEAST_S = 1.0
LEAST_SHARE = 0.1
"""Less is not worth a line."""
SCHEMA, HASHING = "schema work", "password hashing"
SWITCHES = {SCHEMA: "--slipstream-memoize", HASHING: "--slipstream-hashing cheap"}
LEARNT = 2
"""So many calls of each operation on a schema would run as they are written all the same."""
_PRODUCTS = ("sqlite", "postgresql", "mysql", "mariadb")
_DATABASES = ("MySQLDatabase", "PostgresqlDatabase", "SqliteDatabase")
_KEY = "slipstream_noticed"

# Module: what is saved, the class or the module itself, and its functions.
_TIMED: dict[str, tuple[str, str | None, tuple[str, ...]]] = {
    "sqlalchemy.sql.schema": (SCHEMA, "MetaData", ("create_all", "drop_all")),
    "alembic.runtime.migration": (SCHEMA, "MigrationContext", ("run_migrations",)),
    "peewee": (SCHEMA, "Database", ("create_tables", "drop_tables")),
    "bcrypt": (HASHING, None, ("hashpw", "checkpw")),
    "argon2": (HASHING, "PasswordHasher", ("hash", "verify")),
    "passlib.utils.handlers": (HASHING, "GenericHandler", ("hash", "verify")),
    "werkzeug.security": (HASHING, None, ("generate_password_hash", "check_password_hash")),
    "django.contrib.auth.hashers": (HASHING, None, ("make_password", "check_password")),
}


class Noticing:
    """Measures from `put_up` to `take_down`; a hook object of pytest's."""

    def __init__(self) -> None:
        self._began_s = time.perf_counter()
        self._workers_s = 0.0
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._calls: Counter[str] = Counter()
        self._inside = threading.local()
        self._undo: list[Callable[[], None]] = []
        self._hook = ImportHook({name: partial(self._meet, name) for name in _TIMED})

    def put_up(self) -> None:
        """Wait for the libraries."""
        self._hook.put_up()

    def take_down(self) -> None:
        """Put their functions back."""
        self._hook.take_down()
        while self._undo:
            self._undo.pop()()

    def _meet(self, name: str, module: ModuleType) -> None:
        kind, owner, names = _TIMED[name]
        # Another version of the library, or a module of the project's own under its name.
        with suppress(Exception):
            holder: Any = module if owner is None else getattr(module, owner)
            for function in names:
                original = vars(holder)[function]
                setattr(holder, function, self._timed(kind, function, original))
                self._undo.append(partial(setattr, holder, function, original))

    def _timed(self, kind: str, name: str, original: Any) -> Any:
        if isinstance(original, classmethod):
            return classmethod(self._timed(kind, name, original.__func__))

        @functools.wraps(original)
        def timed(*args: Any, **options: Any) -> Any:
            is_counted = kind == HASHING or is_covered(*args, **options)
            if not is_counted or getattr(self._inside, "a_call", False):
                return original(*args, **options)
            self._inside.a_call = True
            began_s = time.perf_counter()
            try:
                return original(*args, **options)
            finally:
                self._inside.a_call = False
                self._calls[name] += 1
                if kind == HASHING or self._calls[name] > LEARNT:
                    self._seconds[kind] += time.perf_counter() - began_s

        return timed

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A worker of pytest-xdist tells its controller."""
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput[_KEY] = dict(self._seconds), self._whole_s()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """The controller adds what a worker took, and for how long it ran; itself it only waits."""
        seconds, whole_s = getattr(node, "workeroutput", {}).get(_KEY, ({}, 0.0))
        for kind, taken_s in seconds.items():
            self._seconds[kind] += taken_s
        self._workers_s += whole_s

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The line, once for a run."""
        for line in told(self._seconds, self._whole_s()):
            terminalreporter.write_line(line)

    def _whole_s(self) -> float:
        return self._workers_s or time.perf_counter() - self._began_s


def told(seconds: dict[str, float], whole_s: float) -> Iterator[str]:
    """What is said of so many seconds, if it is worth a line."""
    worth = {
        kind: taken_s
        for kind, taken_s in sorted(seconds.items(), reverse=True)
        if taken_s >= max(LEAST_S, LEAST_SHARE * whole_s)
    }
    if worth:
        taken = " and ".join(f"{kind} {taken_s:.1f} s" for kind, taken_s in worth.items())
        switches = " ".join(SWITCHES[kind] for kind in worth)
        yield (
            f"slipstream: {taken} of {whole_s:.1f} s: {switches} would save much of it "
            "(not to be told: --no-slipstream-notice)"
        )


def is_covered(owner: Any, bind: Any = None, *args: Any, **options: Any) -> bool:
    """Whether memoising knows the database: a bind's, a migration's, or Peewee's own."""
    if any(kind.__name__ in _DATABASES for kind in type(owner).__mro__):
        return True
    of_bind, of_migration = (
        getattr(getattr(holder, "dialect", None), "name", "") for holder in (bind, owner)
    )
    return of_bind in _PRODUCTS or of_migration in _PRODUCTS
