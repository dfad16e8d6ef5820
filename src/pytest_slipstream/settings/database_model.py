"""The options of one database, as `model` has those of all else."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

EngineName = Literal["sqlite", "postgresql", "mysql"]
IsolationName = Literal["reset", "rollback", "clone", "none"]
Sources = tuple[str, ...]
"""In a file, one text stands for a list of one."""

_SQLITE = {"engine": ("sqlite",)}
_STRICT = {**_SQLITE, "strict": (True,)}
_SERVER = {"engine": ("postgresql", "mysql")}
_EMBEDDED = {**_SERVER, "server": ("embedded",)}
_POSTGRESQL = {"engine": ("postgresql",)}
_EMBEDDED_POSTGRESQL = {**_POSTGRESQL, "server": ("embedded",)}


class DatabaseSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One database: a table ``[tool.slipstream.databases.<name>]``."""

    engine: Annotated[
        EngineName, Meta(description="The database product; `mysql` is MySQL and MariaDB.")
    ]
    server: Annotated[
        str,
        Meta(
            description="`embedded` (slipstream starts and stops it) or the URL of a running "
            "server. SQLite has no server.",
            extra=_SERVER,
        ),
    ] = "embedded"
    schema: Annotated[
        Sources,
        Meta(
            description="What makes the schema: `module:object` (SQLAlchemy MetaData, a SQLModel "
            "or declarative base, Peewee models or their base class, a list of those, or a "
            "callable that takes the URL, sync or async), `module:*` (the Peewee models of a "
            "module), an Alembic ini file, a `.sql` file or a directory of them; several in order."
        ),
    ] = ()
    seed: Annotated[
        Sources,
        Meta(
            description="What fills the template once: `module:callable` that takes the URL (sync "
            "or async: the URL's driver is of the same kind, unless it is empty), a `.sql` file or "
            "a directory of them; several in order."
        ),
    ] = ()
    isolation: Annotated[
        IsolationName, Meta(description="How a slot is clean again for the next test.")
    ] = "reset"
    driver: Annotated[
        str | None,
        Meta(
            description="The SQLAlchemy driver in `{url}` and in the `db_engine` fixtures, for "
            "example `asyncpg`, `psycopg`, `aiosqlite`, `asyncmy`. Without it: `psycopg`, "
            "`pymysql`, or plain `sqlite`."
        ),
    ] = None
    env: Annotated[
        dict[str, str],
        Meta(
            description="Environment variables set before your code is imported, with "
            "placeholders such as `{url}`."
        ),
    ] = {}
    tests: Annotated[
        Literal["all", "marked"],
        Meta(
            description="Which tests own a slot: `all`, or only those that are `marked` with "
            "`@pytest.mark.db` or use a slipstream fixture."
        ),
    ] = "all"
    memory: Annotated[
        bool,
        Meta(
            description="SQLite: keep the slot in memory, with one connection that all share.",
            extra=_SQLITE,
        ),
    ] = False
    strict: Annotated[
        bool,
        Meta(
            description="SQLite: enforce foreign keys, and refuse values that a real engine would "
            "refuse: of the wrong type, too long, out of range, no date.",
            extra=_SQLITE,
        ),
    ] = False
    stands_for: Annotated[
        Literal["postgresql", "mysql"] | None,
        Meta(
            description="Strict SQLite: the engine of production, where the real ones differ; with "
            "`mysql`, text is compared without regard to case. Without it, the engine that the "
            "other lanes have for this database.",
            extra=_STRICT,
        ),
    ] = None
    tcp: Annotated[
        bool,
        Meta(
            description="Embedded server: listen on 127.0.0.1 too, with a password, for clients "
            "that cannot use a unix socket.",
            extra=_EMBEDDED,
        ),
    ] = False
    extensions: Annotated[
        tuple[str, ...],
        Meta(
            description="PostgreSQL: extensions created in the template before the schema.",
            extra=_POSTGRESQL,
        ),
    ] = ()
    locale: Annotated[
        str,
        Meta(
            description="Embedded PostgreSQL: the cluster's locale (the encoding is UTF8).",
            extra=_EMBEDDED_POSTGRESQL,
        ),
    ] = "C.UTF-8"
    server_options: Annotated[
        dict[str, str],
        Meta(
            description="Embedded server: further settings, such as `{ max_connections = '400' }`.",
            extra=_EMBEDDED,
        ),
    ] = {}
    fingerprint: Annotated[
        tuple[str, ...],
        Meta(
            description="Further files (glob patterns) on which the template depends and which "
            "slipstream cannot see by following imports."
        ),
    ] = ()
    keep_templates: Annotated[
        int,
        Meta(
            ge=1,
            description="How many templates of databases with this name stay on the server, those "
            "of other projects included.",
        ),
    ] = 16
    allow_remote: Annotated[
        bool,
        Meta(description="Allow a server URL whose host is not this machine.", extra=_SERVER),
    ] = False
