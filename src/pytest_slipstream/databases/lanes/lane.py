"""One lane: its databases by their keys, and the environment variables that lead to them."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_slipstream.databases import environment
from pytest_slipstream.databases.database import Database
from pytest_slipstream.databases.engines.protocol import Owner


class Lane:
    """A lane in this process; nothing is started by making it."""

    def __init__(self, name: str, databases: Mapping[str, Database]) -> None:
        self.name = name
        self.databases = databases
        self.variables = environment.Variables(self._rendered())

    def _rendered(self) -> dict[str, str]:
        return {
            variable: value
            for database in self.databases.values()
            for variable, value in environment.rendered(database.settings, database.address).items()
        }

    def move(self, owner: Owner) -> None:
        """In a forked process: have databases of its own. While its variables are not set."""
        for database in self.databases.values():
            database.move(owner)
        self.variables = environment.Variables(self._rendered())
