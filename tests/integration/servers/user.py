"""One user process of a server, driven by lines on its standard input.

``python user.py <cache_dir> <settings as JSON> <RAM disk>``; each line is ``open``, ``restart``,
``close``, ``address`` or ``sql <statement>``; each answer is a line of JSON with ``ok`` or
``error``, and the progress messages since the last one.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from pytest_slipstream.databases.servers.embedded_server import EmbeddedServer
from pytest_slipstream.databases.servers.postgresql_embedded import EmbeddedPostgresql
from pytest_slipstream.errors import SlipstreamError
from pytest_slipstream.settings import DatabaseSettings


def main(cache_dir: str, settings_json: str, ram_disk: str) -> None:
    settings = msgspec.json.decode(settings_json, type=DatabaseSettings)
    server = EmbeddedServer(
        EmbeddedPostgresql(settings),
        cache_dir=Path(cache_dir),
        tcp=settings.tcp,
        ram_disk=Path(ram_disk),
    )
    said: list[str] = []

    def do(verb: str, rest: str) -> Any:
        if verb == "sql":
            where = server.address(server.maintenance_database)
            with psycopg.connect(
                host=where.host,
                port=where.port,
                user=where.user,
                password=where.password or None,
                dbname=where.database,
                autocommit=True,
            ) as connection:
                cursor = connection.execute(rest)
                return cursor.fetchone()[0] if cursor.description else None
        if verb == "address":
            return server.address("postgres")
        if verb == "close":
            return server.close()
        return getattr(server, verb)(said.append)

    for line in sys.stdin:
        verb, _, rest = line.strip().partition(" ")
        answer: dict[str, Any]
        try:
            answer = {"ok": do(verb, rest)}
        except (SlipstreamError, psycopg.Error) as error:
            answer = {"error": str(error), "type": type(error).__name__}
        answer["said"] = list(said)
        said.clear()
        print(msgspec.json.encode(answer).decode(), flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main(sys.argv[1], sys.argv[2], sys.argv[3])
