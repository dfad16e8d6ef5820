"""The TLS context that PyMySQL makes for each connection for which nothing about TLS is said.

It reads all certificates that the machine trusts, 10 to 25 ms, and verifies none. An application
that makes an engine for each test spends more on it than on its tables. The invariant: only such a
context is shared, which nothing of a connection's is in; TLS is used as it would have been.
"""

from __future__ import annotations

import functools
import os
import ssl
from types import ModuleType
from typing import Any

from pytest_slipstream.clock import clock
from pytest_slipstream.databases.memoising.ledger import Ledger

OPERATION = "the TLS context of a connection of PyMySQL"
_NAME = "_create_ssl_ctx"


class TlsContexts:
    """Stands in for PyMySQL's method from `put_up` to `take_down`; a version without it is left
    alone.

    Args:
        module: `pymysql.connections`.
        ledger: Counts.
    """

    def __init__(self, module: ModuleType, ledger: Ledger) -> None:
        self._holder = module.Connection
        self._ledger = ledger
        self._made: dict[object, Any] = {}
        self._original = vars(self._holder).get(_NAME)

    def put_up(self) -> None:
        """Replace the method."""
        original = self._original
        if original is None:
            return

        @functools.wraps(original)
        def replacement(connection: Any, parameters: Any) -> Any:
            if parameters != {}:
                return original(connection, parameters)
            # All that the function reads of the world but the certificates, which go unused.
            key = (ssl.create_default_context, ssl.SSLContext, os.environ.get("SSLKEYLOGFILE"))
            started = clock.seconds()
            context = self._made.get(key)
            if context is None:
                context = self._made[key] = original(connection, parameters)
                self._ledger.made(OPERATION, clock.seconds() - started)
            else:
                self._ledger.replaced(OPERATION, clock.seconds() - started)
            return context

        setattr(self._holder, _NAME, replacement)

    def take_down(self) -> None:
        """Put it back."""
        if self._original is not None:
            setattr(self._holder, _NAME, self._original)
