"""What makes a template's schema and fills its seed: the configuration's texts, decoded, applied.

`forms` decides what a text is by the text alone; `apply`, which a run that builds nothing does not
import, has the other modules each apply one form. User code is called only here.
"""

from __future__ import annotations

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
    "decode",
    "decode_all",
]
