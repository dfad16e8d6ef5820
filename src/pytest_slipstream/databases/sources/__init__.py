"""What makes a template's schema and fills its seed: the configuration's texts, decoded, applied.

`forms` decides what a text is by the text alone; the other modules each apply one form. User code
is called only here, and always from `surroundings`.
"""

from __future__ import annotations

from pytest_slipstream.databases.sources.apply import Build, apply
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
    "Build",
    "DirectorySource",
    "MigrationSource",
    "ObjectSource",
    "ScriptSource",
    "Source",
    "apply",
    "decode",
    "decode_all",
]
