"""How many connections an embedded server takes, where tests are in flight together.

Pure. The invariant: what the user set stays, and so does the server of a run with few in flight.
"""

from __future__ import annotations

import msgspec

from pytest_slipstream.settings import DatabaseSettings

_ROOM = 200
_EACH = 4
_BESIDES = 40


def with_room(settings: DatabaseSettings, in_flight: int) -> DatabaseSettings:
    """The settings of a server that the tests in flight, slipstream's session for each included,
    can all connect to.

    Args:
        settings: As configured.
        in_flight: How many tests.
    """
    if settings.server != "embedded" or settings.engine == "sqlite":
        return settings
    given = settings.server_options
    room = _ROOM
    while room < in_flight * _EACH + _BESIDES:
        room *= 2
    if room == _ROOM or {"max_connections", "max-connections"} & given.keys():
        return settings
    return msgspec.structs.replace(settings, server_options={**given, "max_connections": str(room)})
