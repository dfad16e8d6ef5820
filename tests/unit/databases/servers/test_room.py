"""How many connections an embedded server takes."""

from __future__ import annotations

import pytest

from pytest_slipstream.databases.servers.room import with_room
from pytest_slipstream.settings import DatabaseSettings


@pytest.mark.parametrize(
    ("in_flight", "expected"), [(0, {}), (40, {}), (50, "400"), (200, "1600"), (1000, "6400")]
)
def test_room_for_all(in_flight: int, expected: object) -> None:
    found = with_room(DatabaseSettings(engine="postgresql"), in_flight).server_options
    assert found == (expected and {"max_connections": expected})


@pytest.mark.parametrize(
    "settings",
    [
        DatabaseSettings(engine="postgresql", server_options={"max_connections": "70"}),
        DatabaseSettings(engine="mysql", server_options={"max-connections": "70"}),
        DatabaseSettings(engine="postgresql", server="postgresql://localhost"),
        DatabaseSettings(engine="sqlite"),
    ],
)
def test_what_is_not_ours_stays(settings: DatabaseSettings) -> None:
    assert with_room(settings, 200) is settings
