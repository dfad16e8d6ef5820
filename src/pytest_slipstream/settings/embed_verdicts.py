"""Which of the suite's own servers an embedded one stands in for, and whether that makes sense.

Pure; see `verdicts`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

import msgspec

from pytest_slipstream.settings.model import Settings

PORTS: Mapping[str, int] = {"postgresql": 5432, "mysql": 3306}
_ENGINES = {"postgresql": "postgresql", "postgres": "postgresql"} | dict.fromkeys(
    ("mysql", "mariadb"), "mysql"
)


class Embedded(msgspec.Struct, frozen=True):
    """A server that is meant: by its host and port, or, without a host, by being the first."""

    engine: str
    host: str = ""
    port: int = 0


def read_embed(value: str) -> Embedded:
    """One value of the option.

    Raises:
        ValueError: With what is wrong.
    """
    parts = urlsplit(value if "://" in value else f"{value}://")
    engine = _ENGINES.get(parts.scheme.partition("+")[0])
    if engine is None:
        raise ValueError("must be postgresql, mysql, or a URL of a server, as postgresql://db:5432")
    if "://" in value and not parts.hostname:
        raise ValueError("names no host; a URL must, as postgresql://db:5432")
    if parts.path.strip("/") or "@" in parts.netloc or parts.query:
        raise ValueError("must be the URL of a server alone, without a user and a database")
    return Embedded(engine, parts.hostname or "", parts.port or PORTS[engine])


def embed_problems(settings: Settings) -> Iterable[tuple[str, str]]:
    """What is wrong: pairs of an option's name and the problem."""
    engines = set()
    for value in settings.embed:
        try:
            engines.add(read_embed(value).engine)
        except ValueError as error:
            yield "embed", f"is {value!r}, and {error}"
    for name, database in settings.every_database.items():
        if database.engine in engines and database.server != "embedded":
            yield (
                "embed",
                f"moves {database.engine}, and the database {name!r} has a server of its own; "
                "drop its `server`, or `embed`",
            )
