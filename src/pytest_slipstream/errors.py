"""The exception tree.

Every message is a lower-case sentence that names the object and the value seen, then why;
the way out stands in ``hint`` and is shown on a line of its own.
"""

from __future__ import annotations

import pytest


class SlipstreamError(Exception):
    """Base of everything slipstream raises on purpose.

    Args:
        message: What is wrong: the object, the value seen, the cause.
        hint: The exact option, command or edit that mends it.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        # pytest prints the arguments of a UsageError, not its text.
        super().__init__(message if hint is None else f"{message}\nhint: {hint}")
        self.message = message
        self.hint = hint


class ConfigurationError(SlipstreamError, pytest.UsageError):  # type: ignore[misc]
    """The configuration or the command line is wrong (exit code 4)."""


class MissingExtraError(ConfigurationError):  # type: ignore[misc]
    """An optional dependency is needed and not installed."""


class ServerError(SlipstreamError):
    """A database server cannot be found, started, reached or used."""


class TemplateError(SlipstreamError):
    """The template database could not be built: the schema or the seed failed."""


class IsolationError(SlipstreamError):
    """A slot could not be made clean, or a test left a trace that cleaning did not undo."""
