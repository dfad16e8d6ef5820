"""What a text of ``schema`` or ``seed`` is, decided by the text alone."""

from __future__ import annotations

import pytest

from pytest_slipstream.databases.sources import (
    DirectorySource,
    MigrationSource,
    ObjectSource,
    ScriptSource,
    decode,
    decode_all,
)
from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.settings import DatabaseSettings


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("app.models:Base.metadata", ObjectSource),
        ("app:metadata", ObjectSource),
        ("app.models:*", ObjectSource),
        ("größe.modelle:Basis", ObjectSource),
        ("alembic.ini", MigrationSource),
        ("backend/alembic.ini", MigrationSource),
        ("schema.sql", ScriptSource),
        ("db/schema.v2.sql", ScriptSource),
        ("../shared/schema.sql", ScriptSource),
        ("schema", DirectorySource),
        ("db/schema/", DirectorySource),
        ("db/v1.2/", DirectorySource),
        ("/abs/sql", DirectorySource),
    ],
)
def test_each_form_is_told_by_its_text(text: str, kind: type) -> None:
    source = decode(text, "schema")
    assert type(source) is kind
    assert source.text == text


def test_an_object_is_taken_apart_at_the_colon() -> None:
    source = decode("app.models:Base.metadata", "schema")
    assert isinstance(source, ObjectSource)
    assert (source.module, source.attribute) == ("app.models", "Base.metadata")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        ("  ", "it is empty"),
        ("app.models", "it names a module and no object in it"),
        ("app.models:", "it has none of the valid forms"),
        (":Base", "it has none of the valid forms"),
        ("app/models.py:Base", "it has none of the valid forms"),
        ("app.models:*.Base", "it has none of the valid forms"),
        ("app.models:Base.", "it has none of the valid forms"),
        ("app.models:create()", "it has none of the valid forms"),
        ("schema.json", "it names a module and no object in it"),
        ("postgresql://localhost/app", "it has none of the valid forms"),
    ],
)
def test_a_text_of_no_form_is_refused_with_the_valid_ones(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        decode(text, "schema")
    assert caught.value.message == f"schema {text!r} is not a source: {reason}"
    assert caught.value.hint is not None
    for valid in ("module:object", "alembic.ini", "file.sql", "directory/"):
        assert valid in caught.value.hint


def test_migrations_are_no_seed() -> None:
    with pytest.raises(ConfigurationError, match="an Alembic file makes a schema") as caught:
        decode("alembic.ini", "seed")
    assert "alembic" not in (caught.value.hint or "")


def test_all_sources_come_in_order_schema_first() -> None:
    settings = DatabaseSettings(
        engine="sqlite", schema=("b.sql", "a:b"), seed=("z.sql", "seeds:fill")
    )
    assert [str(source) for source in decode_all(settings)] == [
        "schema 'b.sql'",
        "schema 'a:b'",
        "seed 'z.sql'",
        "seed 'seeds:fill'",
    ]
