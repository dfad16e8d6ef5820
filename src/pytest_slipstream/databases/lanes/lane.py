"""One lane: its databases by their keys, and the environment variables that lead to them."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_slipstream.databases import environment
from pytest_slipstream.databases.database import Database


class Lane:
    """A lane in this process; nothing is started by making it."""

    def __init__(self, name: str, databases: Mapping[str, Database]) -> None:
        self.name = name
        self.databases = databases
        self.variables = environment.Variables(
            {
                variable: value
                for database in databases.values()
                for variable, value in environment.rendered(
                    database.settings, database.address
                ).items()
            }
        )
