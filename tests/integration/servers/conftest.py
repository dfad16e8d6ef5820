"""Real user processes of real servers, each test in a cache directory of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pytest_slipstream.databases.servers import embedded, stores

USER = Path(__file__).with_name("user.py")
NO_RAM_DISK = Path("/nonexistent")


class User:
    """A process that uses a server."""

    def __init__(
        self,
        cache_dir: Path,
        *,
        prefix: tuple[str, ...] = (),
        ram_disk: Path = NO_RAM_DISK,
        environ: dict[str, str] | None = None,
        **settings: Any,
    ) -> None:
        self.cache_dir = cache_dir
        settings = {"engine": "postgresql", **settings}
        command = [*prefix, sys.executable, str(USER), str(cache_dir), json.dumps(settings)]
        self.process = subprocess.Popen(
            [*command, str(ram_disk)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environ or {})},
            start_new_session=True,
        )

    def send(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the user process ended with {self.process.wait(10)}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, command: str) -> dict[str, Any]:
        self.send(command)
        return self.answer()

    def do(self, command: str) -> Any:
        """Ask, and expect no error."""
        answer = self.ask(command)
        assert "error" not in answer, answer
        return answer["ok"]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def end(self) -> None:
        """Let the process end by itself, without leaving the server."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()
        self.process.wait(30)
        if self.process.stdout is not None:
            self.process.stdout.close()


class Users:
    """Makes users, and ends them."""

    def __init__(self, cache_dir: Path, stack: ExitStack) -> None:
        self.cache_dir = cache_dir
        self._stack = stack

    def __call__(self, cache_dir: Path | None = None, **arguments: Any) -> User:
        user = User(cache_dir or self.cache_dir, **arguments)
        self._stack.callback(user.end)
        return user


@pytest.fixture
def cache_dir(short_path: Path, require_servers: None) -> Generator[Path, None, None]:
    yield short_path
    for entry in embedded.list_servers(short_path):
        stores.discard(entry.data.parent)


@pytest.fixture
def users(cache_dir: Path) -> Generator[Users, None, None]:
    with ExitStack() as stack:
        yield Users(cache_dir, stack)


@pytest.fixture
def only_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
