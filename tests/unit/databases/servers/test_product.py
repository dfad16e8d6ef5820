"""What every embedded product keeps for itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_slipstream.databases import servers
from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.settings import DatabaseSettings


@pytest.mark.parametrize(
    ("engine", "option"),
    [
        ("mysql", "bind_address"),
        ("mysql", "pid-file"),
        ("postgresql", "listen_addresses"),
        ("postgresql", "hba-file"),
    ],
)
def test_reserved_options_are_refused_however_they_are_written(
    engine: str, option: str, tmp_path: Path
):
    settings = DatabaseSettings(engine=engine, server_options={option: "0.0.0.0"})
    with pytest.raises(ConfigurationError, match=f"sets '{option}'") as raised:
        servers.of(settings, cache_dir=tmp_path).open(lambda message: None)
    assert f"remove '{option}'" in raised.value.hint
