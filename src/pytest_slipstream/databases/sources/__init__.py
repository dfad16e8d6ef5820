"""What makes a template's schema and fills its seed: texts of the configuration, decoded and applied.

`forms` decides what a text is by the text alone; the other modules each apply one form. User code
is called only here, and always from `surroundings`.
"""

from __future__ import annotations

from pytest_slipstream.databases.sources.apply import apply
from pytest_slipstream.databases.sources.forms import (
    DirectorySource,
    MigrationSource,
    ObjectSource,
    ScriptSource,
    Source,
    decode,
    decode_all,
)

__all__ = [
    "DirectorySource",
    "MigrationSource",
    "ObjectSource",
    "ScriptSource",
    "Source",
    "apply",
    "decode",
    "decode_all",
]
