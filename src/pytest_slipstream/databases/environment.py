"""The environment variables that carry a database's place to the application."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pytest_slipstream.databases import urls
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.settings import DatabaseSettings

# Of libpq's own: with these it would connect to another server than the URL's, or to none.
_DIVERTING = {"PGHOSTADDR": "", "PGTARGETSESSIONATTRS": "any"}


def rendered(settings: DatabaseSettings, address: Address) -> dict[str, str]:
    """The variables of ``env`` with their placeholders filled in, and what goes against them."""
    values = urls.placeholders(address, settings.driver)
    found = {name: text.format(**values) for name, text in settings.env.items()}
    if settings.engine == "postgresql":
        against = {name: text for name, text in _DIVERTING.items() if name in os.environ}
        return against | found
    return found


class Variables:
    """Variables that are set for a while; what they were before is put back."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values
        self._before: dict[str, str | None] = {}

    def set(self) -> None:
        """Set them."""
        self._before = {name: os.environ.get(name) for name in self.values}
        os.environ.update(self.values)

    def restore(self) -> None:
        """Put back what they were; without effect when they are not set."""
        before, self._before = self._before, {}
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
