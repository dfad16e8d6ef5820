"""What the run record adds to a run's outcomes, where slipstream provided the databases.

The invariant: a record that is not there, or that another version wrote, costs what it would tell.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from pytest_slipstream import events, record
from pytest_slipstream.measure.outcomes import Session


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What was recorded.

    Args:
        lanes: The lane of each node id, where there are lanes.
        servers: The version of each engine.
        workers: How many processes ran tests beside pytest's own.
    """

    lanes: dict[str, str] = {}
    servers: dict[str, str] = {}
    workers: int = 0


def recorded(sessions: tuple[Session, ...]) -> Recorded:
    """The record of a command that ran pytest once or several times."""
    happened: list[events.AnyEvent] = []
    for session in sessions:
        directory = Path(session.rootpath, ".slipstream", "runs", session.testrun_uid)
        if session.testrun_uid:
            try:
                happened += record.read(directory)
            except (OSError, msgspec.DecodeError):
                return Recorded()
    workers = {event.worker for event in happened} - {"main"}
    return Recorded(
        lanes={
            # With ``--dist loadgroup`` pytest-xdist appends the group.
            node_id: one.lane
            for one in happened
            if isinstance(one, events.TestRan)
            for node_id in (one.node_id, re.sub(r"@[^\]/:]*$", "", one.node_id))
        },
        servers={
            one.engine: one.server_version
            for one in happened
            if isinstance(one, events.ServerReady)
        },
        workers=len(workers),
    )
