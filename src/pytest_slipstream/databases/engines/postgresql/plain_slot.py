"""A slot on a server whose role is no superuser: nothing watches it, it is only ever made anew.

The invariant: what cannot be known without triggers is answered on the safe side.
"""

from __future__ import annotations

from pytest_slipstream.databases.engines.postgresql.slot import Layer, PostgresqlSlot
from pytest_slipstream.databases.engines.protocol import Cleaning
from pytest_slipstream.errors import IsolationError


class PlainSlot(PostgresqlSlot):
    """A slot without slipstream's own objects; a layer is a copy of the whole database."""

    _clean: dict[str, str]

    def _leave(self) -> None:
        """There is no session in the slot."""

    def _begin(self, layers: list[Layer]) -> None:
        assert not layers, "a copy of the database lies under every layer"
        self._clean = self.digest()

    def clean(self) -> Cleaning:
        """Always refused."""
        return Cleaning(cannot="the role is no superuser, so that nothing records what is written")

    def touched(self) -> tuple[str, ...]:
        """Tables whose rows differ from when the slot was clean."""
        return tuple(key.removeprefix("rows of ") for key in self._differing() if "rows of" in key)

    def _differing(self) -> list[str]:
        now = self.digest()
        keys = now.keys() | self._clean.keys()
        return sorted(key for key in keys if now.get(key) != self._clean.get(key))

    def push_layer(self) -> tuple[str, ...]:
        """Take what was committed since the slot was clean as a layer.

        Raises:
            IsolationError: A transaction is open, so that no copy can be taken.
        """
        differing = self._differing()
        if not differing:
            return ()
        name = self._aside("layer")
        if not self._administration.is_idle(self.name):
            raise IsolationError(
                f"what a wider fixture wrote into {self.name} cannot be kept: a transaction is "
                "open, and a copy of the database, which the role's rights leave as the only way, "
                "needs that there is none",
                hint="give the role SUPERUSER, or end the fixture's transaction before its "
                "first test",
            )
        self.sessions_ended += 1
        self._administration.shut(self.name)
        self._administration.clone(self.name, name)
        self._administration.reopen(self.name)
        self._pushed += 1
        self._layers.append(Layer(self._pushed, "", ("a whole copy",), name))
        self._clean = self.digest()
        return tuple(key.removeprefix("rows of ") for key in differing)

    def pop_layer(self, depth: int = 0) -> Cleaning:
        """Forget a layer; what lies below comes back when the slot is made anew.

        Raises:
            IsolationError: Another layer lies above, whose copy holds this one's rows.
        """
        if depth:
            raise IsolationError(
                f"a layer of {self.name} ends before those above it, which hold its rows",
                hint="give the role SUPERUSER, so that layers can be told apart",
            )
        layer = self._layers.pop()
        self._spare.discard()
        if layer.base is not None:
            self._spare.drop(layer.base)
        return Cleaning(cannot="the layer goes with a new copy of what lies below")
