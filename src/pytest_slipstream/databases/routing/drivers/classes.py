"""The classes of connections and cursors that the application asked for, with joining mixed in."""

from __future__ import annotations

from typing import Any


class Classes:
    """Made once for each class that the application asks for, under its name.

    Args:
        connection: What is mixed into classes of connections: itself the driver's own class.
        cursor: What is mixed into classes of cursors: the driver's own class, or a part of one.
    """

    def __init__(self, connection: type, cursor: type) -> None:
        self._connection = connection
        self._cursor = cursor
        self._made: dict[type, type] = {}

    def connection(self, wanted: type) -> type:
        """A class of connections."""
        return self._mixed(wanted, self._connection)

    def cursor(self, wanted: Any) -> Any:
        """A class of cursors; a factory that is no class stays as it is."""
        return self._mixed(wanted, self._cursor) if isinstance(wanted, type) else wanted

    def _mixed(self, wanted: type, mixin: type) -> type:
        if issubclass(wanted, mixin):
            return wanted
        if wanted not in self._made:
            made = type(wanted.__name__, self._bases(wanted, mixin), {})
            made.__module__ = wanted.__module__
            self._made[wanted] = made
        return self._made[wanted]

    def _bases(self, wanted: type, mixin: type) -> tuple[type, ...]:
        """Below the application's own class: what that overrides comes first, as ever."""
        return (mixin,) if issubclass(mixin, wanted) else (wanted, mixin)
