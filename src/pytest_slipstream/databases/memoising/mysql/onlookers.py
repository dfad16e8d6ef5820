"""Who could look at a database between a drop that is put off and the create that follows it.

The invariant: what this process does that could tell the difference is preceded by `look`: a
statement of any connection, unless it is known to look at nothing, and the start of a process.
Where somebody else is connected, where the process has children, or a driver whose statements are
not seen, `stranger` says so, and nothing is put off.
"""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import weakref
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial, wraps
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_slipstream.databases.memoising.mysql import sending
from pytest_slipstream.databases.memoising.mysql.sending import Instead
from pytest_slipstream.import_hook import ImportHook

if TYPE_CHECKING:
    import psutil

MARK = "/* slipstream */"
OWN = f"SELECT {MARK}"
"""What slipstream itself asks over the application's connection begins so, or with the mark."""

# All are made after PyMySQL: a connection is a Connection, and sends by `_execute_command`.
_ENTERS = r"\s*USE\s+`?([^\s;`]+)"
_CONNECTS = {"pymysql": "connect", "aiomysql": "_connect", "asyncmy": "connect"}
_UNSEEN = ("MySQLdb", "mysql.connector", "mariadb", "pyodbc", "cymysql", "connectorx", "duckdb")
_SERVERS = ("mariadbd", "mysqld", "mariadbd-safe", "mysqld_safe")
_TRACKER = "multiprocessing.resource_tracker"
_QUERY = 0x03
_QUIT, _INIT_DB, _KILL, _PING = 0x01, 0x02, 0x0C, 0x0E
_LOOKS_AT_NOTHING = (  # compiled when it is used: this module is there in every run
    r"\s*(?:(?:COMMIT|ROLLBACK|BEGIN|START\s+TRANSACTION|USE\s+`?[\w$-]+`?"
    r"|SET\s(?:(?!\b(?:select|statement)\b)[^(;])*"
    r"|SELECT\s+(?:@@[\w.]+|\d+|version\(\)|database\(\)|connection_id\(\))"
    r"|SHOW\s+WARNINGS"
    r"|SHOW\s+(?:(?:GLOBAL|SESSION)\s+)?VARIABLES\s+LIKE\s+'[^';]*')\s*;?\s*$"
    r"|(?:SELECT )?" + re.escape(MARK) + ")"
)
_MAKES_TABLE = r"\s*CREATE\s+TABLE\s"
_BEGINNING = 64


class Onlookers:
    """Knows this process's connections from `put_up` to `take_down`.

    Args:
        look: Called before anything that could see a drop that is put off; see `watch`.
        is_gone: Whether a database of some name is dropped, which is put off.
        instead: What is sent in the place of a statement about whole databases.
    """

    def __init__(
        self,
        look: Callable[[], None],
        is_gone: Callable[[str], bool],
        instead: Callable[[Any, Any], Instead],
    ) -> None:
        self._look = look
        self._is_gone = is_gone
        self._instead = instead
        self._ids: set[tuple[object, int]] = set()
        self._classes: list[type] = []
        self._hook = ImportHook(
            {name: partial(self._meet, name) for name in _CONNECTS}
            | dict.fromkeys(_UNSEEN, lambda _: self._look())
        )
        self._undo: list[Callable[[], None]] = []
        self._guards: list[Callable[[], None]] = []
        self._sees_forks = False
        self._counting: set[type] = set()
        self._answering: set[type] = set()
        self._answers = sending.Answers()
        self._tables_made: Counter[tuple[object, int]] = Counter()

    def put_up(self) -> None:
        """Know the connections of drivers that are imported, now or later."""
        self._hook.put_up()

    def take_down(self) -> None:
        """Put everything back."""
        self._hook.take_down()
        self.leave_alone()
        _call_all(self._undo)

    def stranger(self, route: object, sessions: Iterable[int]) -> str | None:
        """Who could look without being noticed; None if there is nobody.

        Args:
            route: How this process's connections reach the server, as `route_of` says.
            sessions: The numbers of all that are in the database.
        """
        if driver := next((name for name in _UNSEEN if name in sys.modules), None):
            return f"the driver {driver}, whose statements are not seen"
        if child := _child():
            return f"a child process, {child}"
        if any((route, number) not in self._ids for number in sessions):
            return "a connection of somebody else to the database"
        return None

    def tables_made(self, route: object, session: int) -> int:
        """How many tables a session of MySQL was asked to make, by statements that say nothing
        else."""
        return self._tables_made[route, session]

    def watch(self) -> None:
        """From now on, `look` is called; until `leave_alone`."""
        for kind in self._classes:
            self._guard(kind, "_execute_command", self._look_by)
        for holder, name in (
            (subprocess.Popen, "_execute_child"),
            (sys.modules.get("_posixsubprocess"), "fork_exec"),  # multiprocessing's way
            (os, "system"),
            (os, "posix_spawn"),
            (os, "posix_spawnp"),
        ):
            if hasattr(holder, name):
                self._guard(holder, name, lambda *_: self._look())
        if not self._sees_forks and hasattr(os, "register_at_fork"):  # which cannot be taken back
            self._sees_forks = True
            os.register_at_fork(before=partial(_forks, weakref.ref(self)))

    def leave_alone(self) -> None:
        """`look` is not called any more."""
        _call_all(self._guards)

    def about_to_fork(self) -> None:
        """Both processes will know what this one does."""
        if self._guards:
            self._look()

    def _look_by(self, connection: Any, command: int, sent: Any, *_: Any) -> None:
        # To whichever server: one has many names.
        if looks(command, sent) or self._is_gone(_entered(command, sent)):
            self._look()

    def _guard(self, holder: Any, name: str, look: Callable[..., None]) -> None:
        original = getattr(holder, name)

        @wraps(original)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            look(*args)
            return original(*args, **kwargs)

        self._guards.append(_replace(holder, name, guarded))

    def _meet(self, driver: str, module: ModuleType) -> None:
        kind = sys.modules[f"{driver}.connection{'s' if driver == 'pymysql' else ''}"].Connection
        self._classes.append(kind)
        original = getattr(kind, _CONNECTS[driver])

        @wraps(original)
        def connect(connection: Any, *args: Any, **kwargs: Any) -> Any:
            if self._is_gone(as_text(parameter(connection, "db") or "")):
                self._look()
            done = original(connection, *args, **kwargs)
            if inspect.isawaitable(done):
                return self._noted_then(done, connection)
            self._note(connection)
            return done

        self._undo.append(_replace(kind, _CONNECTS[driver], connect))
        door = sending.door(kind.query, self._instead, is_awaited=driver != "pymysql")
        self._undo.append(_replace(kind, "query", door))

    async def _noted_then(self, connecting: Any, connection: Any) -> Any:
        done = await connecting
        self._note(connection)
        return done

    def _note(self, connection: Any) -> None:
        self._ids.add((route_of(connection), connection.thread_id()))
        if "mariadb" not in str(parameter(connection, "server_version")).lower():
            kind = next(kind for kind in self._classes if isinstance(connection, kind))
            self._count(kind)

    def answer(self, connection: Any, warnings: str) -> None:
        """Have the warnings of a connection's last statement told by another question."""
        kind = next(kind for kind in self._classes if isinstance(connection, kind))
        if kind not in self._answering:
            self._answering.add(kind)
            self._send_by(kind, self._answers.sending)
        self._answers.of[connection] = warnings

    def _count(self, kind: type) -> None:
        """Count the tables that its connections make, which only MySQL needs."""
        if kind in self._counting:
            return
        self._counting.add(kind)

        def counting(original: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(original)
            def counted(connection: Any, command: int, sent: Any, *args: Any) -> Any:
                if command == _QUERY and re.match(
                    _MAKES_TABLE, as_text(sent[:_BEGINNING]), re.IGNORECASE
                ):
                    self._tables_made[route_of(connection), connection.thread_id()] += 1
                return original(connection, command, sent, *args)

            return counted

        self._send_by(kind, counting)

    def _send_by(self, kind: type, way: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        """Replace how its connections send, below what watches them."""
        is_watching = bool(self._guards)
        self.leave_alone()
        original = kind._execute_command  # type: ignore[attr-defined]
        self._undo.append(_replace(kind, "_execute_command", way(original)))
        if is_watching:
            self.watch()


def _forks(onlookers: weakref.ref[Onlookers]) -> None:
    if (found := onlookers()) is not None:
        found.about_to_fork()


def looks(command: int, sent: str | bytes | bytearray) -> bool:
    """Whether a command of the protocol could tell what tables there are."""
    if command != _QUERY:
        return command not in (_QUIT, _INIT_DB, _KILL, _PING)
    return re.match(_LOOKS_AT_NOTHING, as_text(sent), re.IGNORECASE) is None


def _entered(command: int, sent: str | bytes | bytearray) -> str:
    """Which database a command makes the session's, if any."""
    if command == _INIT_DB:
        return as_text(sent)
    found = re.match(_ENTERS, as_text(sent), re.IGNORECASE) if command == _QUERY else None
    return found[1] if found else ""


def as_text(sent: str | bytes | bytearray) -> str:
    """What is sent."""
    return sent if isinstance(sent, str) else bytes(sent).decode("utf-8", "replace")


def parameter(connection: Any, name: str) -> Any:
    """What a driver's connection was made with."""
    return getattr(connection, f"_{name}", None) or getattr(connection, name, None)


def route_of(connection: Any) -> object:
    """What tells servers apart whose sessions may have equal numbers."""
    return parameter(connection, "unix_socket") or parameter(connection, "port")


def _replace(holder: Any, name: str, replacement: Any) -> Callable[[], None]:
    """Replace an attribute; what is returned undoes it, unless others have replaced it since."""
    original = getattr(holder, name)
    setattr(holder, name, replacement)

    def undo() -> None:
        if getattr(holder, name) is replacement:
            setattr(holder, name, original)

    return undo


def _call_all(undo: list[Callable[[], None]]) -> None:
    while undo:
        undo.pop()()


def _child() -> str | None:
    """The name of a child process that could be a client."""
    import psutil  # not before it is needed: this module is there from the start of every run

    for child in _children():
        with suppress(psutil.NoSuchProcess):
            name = child.name()
            is_idle = name in _SERVERS or child.status() == psutil.STATUS_ZOMBIE
            if not is_idle and not any(_TRACKER in argument for argument in child.cmdline()):
                return name
    return None


def _children() -> list[psutil.Process]:
    """Linux tells them at once; elsewhere every process there is must be looked at."""
    import psutil

    lists = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
    with suppress(psutil.NoSuchProcess):
        if lists:
            return [psutil.Process(int(pid)) for each in lists for pid in each.split()]
    return psutil.Process().children()
