"""What can be told of a database's sources before anything is built: a mistake there ends the run.

Nothing is imported, and no file is read.
"""

from __future__ import annotations

import glob
from collections.abc import Mapping
from pathlib import Path

from pytest_slipstream.databases.sources.forms import decode_all
from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.settings import DatabaseSettings


def check(databases: Mapping[str, DatabaseSettings], rootdir: Path) -> None:
    """See that each source has a valid form and each file of ``fingerprint`` is there.

    Patterns are left alone: what they match may come later.

    Raises:
        ConfigurationError: It has none, or is not there.
    """
    for name, settings in databases.items():
        decode_all(settings)
        for pattern in settings.fingerprint:
            path = rootdir / pattern
            if not glob.has_magic(pattern) and not path.is_file():
                is_directory = path.is_dir()
                what = "a directory" if is_directory else "not there"
                raise ConfigurationError(
                    f"fingerprint {pattern!r} of database {name!r} must be a file or a pattern, "
                    f"and {path} is {what}",
                    hint=f"write {pattern.rstrip('/') + '/**/*'!r} for all files in it"
                    if is_directory
                    else f"write the path relative to {rootdir}",
                )
