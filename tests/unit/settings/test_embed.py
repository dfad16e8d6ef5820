"""The option ``embed``: which servers are meant, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_slipstream import settings
from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.settings.embed_verdicts import Embedded, read_embed


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("postgresql", Embedded("postgresql", "", 5432)),
        ("mariadb", Embedded("mysql", "", 3306)),
        ("postgres://db", Embedded("postgresql", "db", 5432)),
        ("mysql+pymysql://127.0.0.1:3307/", Embedded("mysql", "127.0.0.1", 3307)),
    ],
)
def test_values(value: str, meant: Embedded) -> None:
    assert read_embed(value) == meant


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("sqlite", "--slipstream-embed is 'sqlite', and must be postgresql, mysql"),
        ("postgresql:///shop", "names no host"),
        ("postgresql://app:secret@db/shop", "the URL of a server alone"),
    ],
)
def test_refused(tmp_path: Path, value: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        settings.load(tmp_path, {"slipstream_embed": [value]}, {})


def test_a_configured_database_on_a_server_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.slipstream]\nembed = "postgresql"\n[tool.slipstream.databases.main]\n'
        'engine = "postgresql"\nserver = "postgresql://localhost/postgres"\n'
    )

    with pytest.raises(ConfigurationError, match="'main' has a server of its own"):
        settings.load(tmp_path, {}, {})
