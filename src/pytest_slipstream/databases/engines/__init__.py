"""The database products, each behind the contract of `protocol`.

An engine's module is imported when a configured database names it, so that a run pays for no
product that it does not use.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import cast

from pytest_slipstream.databases.engines.protocol import Engine, Owner
from pytest_slipstream.settings import DatabaseSettings


def load(name: str, settings: DatabaseSettings, *, cache_dir: Path, owner: Owner) -> Engine:
    """The engine of one configured database.

    Args:
        name: The database's key in the configuration.
        settings: Its table; ``settings.engine`` is the module's name.
        cache_dir: Where servers and templates are kept between runs.
        owner: This process of this run.

    Raises:
        ConfigurationError: The engine cannot be had with these settings on this machine.
    """
    module = importlib.import_module(f"{__name__}.{settings.engine}")
    return cast(Engine, module.create(name, settings, cache_dir=cache_dir, owner=owner))
