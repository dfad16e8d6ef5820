"""What is refused before a run begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_slipstream.databases.sources.verdicts import check
from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.settings import DatabaseSettings


def _checked(root: Path, **options: Any) -> None:
    check({"main": DatabaseSettings(engine="sqlite", **options)}, root)


def test_files_that_are_there_and_any_pattern_pass(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").touch()
    _checked(tmp_path, schema=("app:x", "not_yet.sql"), fingerprint=("rows.csv", "nope/*.py"))


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"schema": ("app.models",)}, "schema 'app.models' is not a source", "write 'module:obj"),
        (
            {"fingerprint": ("gone.csv",)},
            "fingerprint 'gone.csv' of database 'main' must be a file or a pattern, and ",
            "write the path relative to ",
        ),
        (
            {"fingerprint": ("data/",)},
            "fingerprint 'data/' of database 'main' must be a file or a pattern, and ",
            "write 'data/**/*' for all files in it",
        ),
    ],
)
def test_the_mistake_is_named(
    tmp_path: Path, options: dict[str, Any], message: str, hint: str
) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(ConfigurationError) as caught:
        _checked(tmp_path, **options)
    assert caught.value.message.startswith(message)
    assert (caught.value.hint or "").startswith(hint)
