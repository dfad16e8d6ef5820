"""A transport without a socket: what asyncpg is given where it asks its event loop for one."""

from __future__ import annotations

import asyncio
from typing import Any


class Transport(asyncio.Transport):
    """What is the same for all of them; each has `write`, `close` and `abort`."""

    protocol: Any = None

    def writelines(self, list_of_data: Any) -> None:
        """Take several pieces."""
        self.write(b"".join(list_of_data))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """There is no socket, and nothing is encrypted."""
        return default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Who is told of what arrives."""
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who is told."""
        protocol: asyncio.BaseProtocol = self.protocol
        return protocol
