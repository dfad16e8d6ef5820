"""The answer to what a rollback cannot contain."""

from __future__ import annotations


class Uncontained(Exception):  # noqa: N818 - not an error: an answer
    """What was asked for cannot be done within a transaction that will be rolled back."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
