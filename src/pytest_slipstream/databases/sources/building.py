"""What user code sees while a template is built.

The invariant: user code that is told a URL, reads it from its environment, or uses an engine that
it made for its slot earlier, reaches the database that is being built; afterwards the environment
and the import path are as they were.

Modules are imported *before* the environment changes: they stay loaded, and a module that read the
build database's URL at import would hold it for the whole run.
"""

from __future__ import annotations

import contextvars
import inspect
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.environment import Variables, rendered
from pytest_slipstream.settings import DatabaseSettings

T = TypeVar("T")


@contextmanager
def environment(settings: DatabaseSettings, address: Address) -> Iterator[None]:
    """Let the variables of ``env`` point at ``address`` for a while."""
    variables = Variables(rendered(settings, address))
    variables.set()
    try:
        yield
    finally:
        variables.restore()


@contextmanager
def import_path(rootdir: Path) -> Iterator[None]:
    """Let modules under ``rootdir`` be imported, after everything that is found already."""
    before = list(sys.path)
    if str(rootdir) not in sys.path:
        sys.path.append(str(rootdir))
    try:
        yield
    finally:
        sys.path[:] = before


def call(function: Callable[[], object], finish: Callable[[], Awaitable[None]]) -> None:
    """Call user code, sync or async, and wait for it.

    What it starts in asyncio never meets a loop of this thread: it may run inside one, and
    ``asyncio.run`` would leave the thread without its current loop.

    Args:
        function: The user's code.
        finish: Awaited last on the loop of async code.
    """
    if _loop_is_running():
        in_own_thread(lambda: _wait(function(), finish))
        return
    result = function()
    if inspect.isawaitable(result):
        in_own_thread(lambda: _wait(result, finish))


def _wait(result: object, finish: Callable[[], Awaitable[None]]) -> None:
    if inspect.isawaitable(result):
        import asyncio  # 12 ms, which a run that builds nothing need not pay

        async def wait() -> None:
            try:
                await result
            finally:
                await finish()

        asyncio.run(wait())


def _loop_is_running() -> bool:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def in_own_thread(function: Callable[[], T]) -> T:
    """Call ``function`` in a thread of its own, with this thread's context variables."""
    results: list[T] = []
    failures: list[BaseException] = []
    context = contextvars.copy_context()

    def run() -> None:
        try:
            results.append(context.run(function))
        except BaseException as failure:  # noqa: BLE001  (raised again where it is waited for)
            failures.append(failure)

    # A daemon, so that Ctrl-C is not held up by migrations that nobody waits for any more.
    thread = threading.Thread(target=run, name="slipstream-build", daemon=True)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]
