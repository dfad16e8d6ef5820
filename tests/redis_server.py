"""A Redis server of a test's own: started, stopped, killed and started again."""

from __future__ import annotations

import signal
import socket
import subprocess
from pathlib import Path

from waiting import until


class RedisServer:
    """Listens on a free port of this machine.

    Args:
        directory: For its data.
        options: More of them, as on its command line.
    """

    def __init__(self, directory: Path, *options: str) -> None:
        self._directory = directory
        self._options = options
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        with (self._directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--dir", str(self._directory), *self._options],
                stdout=log,
                stderr=log,
            )
        until(self._answers, "redis-server answers")

    def stop(self) -> None:
        """End it; what its options say is kept."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)
            self._process = None

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(1) in (b"+", b"-")
        except OSError:
            return False


def free_port() -> int:
    """A port on which nobody listens now."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])
