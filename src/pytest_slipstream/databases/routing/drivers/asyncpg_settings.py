"""What a connection of the application has set for its session, by SET and the like.

Pure. Several connections share the test's session, and one of them may go from session to session.
The invariant: before a statement of a connection runs, its session has that connection's settings
and no others.
"""

from __future__ import annotations

import re

Texts = tuple[str, ...]

_SETS = re.compile(r"\s*(?:set|reset)\s+(?!constraints\b|transaction\b)", re.IGNORECASE)
_LOCAL = re.compile(r"\s*set\s+local\b|.*\bset_config\s*\(.*\btrue\s*\)", re.IGNORECASE | re.DOTALL)
_RESETS = re.compile(r"\breset\s+all\b|\bdiscard\s+all\b", re.IGNORECASE)
_DEFAULTS = ("RESET ALL", "RESET ROLE")


class Settings:
    """The settings of one connection.

    ``dirty`` is set when what holds in a shared session cannot be told from the texts alone.
    """

    def __init__(self) -> None:
        self._lasting: Texts = ()
        self._pending: tuple[tuple[str, bool], ...] = ()
        self._passing = False
        self.dirty = False

    @property
    def wanted(self) -> Texts:
        """The statements that make a session of the defaults the connection's."""
        return self._lasting + tuple(text for text, _ in self._pending)

    def missing(self, applied: Texts | None) -> Texts:
        """The statements that make a session the connection's.

        Args:
            applied: What was made of it before; None if that is not known.
        """
        return () if applied == self.wanted else _DEFAULTS + self.wanted

    def after(
        self, sql: str, tag: str | None, *, within: bool, shared: bool, applied: Texts | None
    ) -> Texts | None:
        """What is applied in the session after a statement.

        Args:
            sql: Its text.
            tag: Of a statement that controls the transaction.
            within: Whether the application is in a transaction after it.
            shared: Whether the session is; else the server itself ends what is local.
            applied: What was applied in it before; None if that is not known.
        """
        expected = self.wanted
        if tag in ("COMMIT", "ROLLBACK") and not within:
            self.ended(committed=tag == "COMMIT")
        else:
            self.done(sql, within=within)
        dirty, self.dirty = self.dirty, False
        if not shared:
            return self.wanted
        if dirty:
            return None
        only_more = self.wanted[: len(expected)] == expected
        return self.wanted if applied == expected and only_more else applied

    def done(self, sql: str, *, within: bool) -> None:
        """A statement was carried out.

        Args:
            sql: Its text.
            within: Whether within a transaction of the application.
        """
        local = _LOCAL.match(sql) is not None
        if resets(sql):
            self._lasting = self._pending = ()
        elif local and not within:
            self.dirty = True
        elif local and "$" in sql:  # its values are not known: it cannot be repeated
            self._passing = True
        elif within and (local or _SETS.match(sql)):
            self._pending += ((sql, local),)
        elif _SETS.match(sql):
            self._lasting += (sql,)

    def ended(self, *, committed: bool) -> None:
        """The application's transaction has ended."""
        if committed:
            self._lasting += tuple(text for text, local in self._pending if not local)
        self.dirty |= self._passing
        self._pending, self._passing = (), False


def resets(sql: str) -> bool:
    """Whether a statement takes everything back to the defaults, as pools do at release."""
    return _RESETS.search(sql) is not None
