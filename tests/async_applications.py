"""The same small application on each async driver and library, for whole runs over it.

Each has `opened()`, a context in which it can be used, `add(name)`, which commits,
`add_together(names)`, which commits all or nothing, `names()`, and `Taken`, the error of a name
that is there already.
"""

from __future__ import annotations

SCHEMA = {
    "postgresql": "create table person (id serial primary key, name text not null unique);",
    "sqlite": "create table person (id integer primary key, name text not null unique);",
    "mysql": "create table person (id int primary key auto_increment, "
    "name varchar(40) not null unique);",
}

_ASYNCPG = """
    import os
    import asyncpg
    from asyncpg import UniqueViolationError as Taken
    from contextlib import asynccontextmanager

    URL = os.environ["DATABASE_URL"]

    @asynccontextmanager
    async def opened():
        yield

    async def add(name):
        connection = await asyncpg.connect(URL)
        try:
            await connection.execute("insert into person (name) values ($1)", name)
        finally:
            await connection.close()

    async def add_together(names):
        connection = await asyncpg.connect(URL)
        try:
            async with connection.transaction():
                for name in names:
                    await connection.execute("insert into person (name) values ($1)", name)
        finally:
            await connection.close()

    async def names():
        connection = await asyncpg.connect(URL)
        try:
            rows = await connection.fetch("select name from person order by id")
            return [row["name"] for row in rows]
        finally:
            await connection.close()
"""

_ASYNCPG_POOL = """
    import os
    import asyncpg
    from asyncpg import UniqueViolationError as Taken
    from contextlib import asynccontextmanager

    pool = None

    @asynccontextmanager
    async def opened():
        global pool
        async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=2, max_size=4) as pool:
            yield

    async def add(name):
        await pool.execute("insert into person (name) values ($1)", name)

    async def add_together(names):
        async with pool.acquire() as connection, connection.transaction():
            await connection.executemany(
                "insert into person (name) values ($1)", [(name,) for name in names]
            )

    async def names():
        return [row["name"] for row in await pool.fetch("select name from person order by id")]
"""

_SQLALCHEMY = """
    import os
    from contextlib import asynccontextmanager
    from sqlalchemy import select
    from sqlalchemy.exc import IntegrityError as Taken
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    engine = create_async_engine(os.environ["DATABASE_URL"])

    class Base(DeclarativeBase):
        pass

    class Person(Base):
        __tablename__ = "person"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    @asynccontextmanager
    async def opened():
        yield

    async def add(name):
        async with AsyncSession(engine) as session:
            session.add(Person(name=name))
            await session.commit()

    async def add_together(names):
        async with AsyncSession(engine) as session, session.begin():
            for name in names:
                session.add(Person(name=name))
                await session.flush()

    async def names():
        async with AsyncSession(engine) as session:
            return list(await session.scalars(select(Person.name).order_by(Person.id)))
"""

_PSYCOPG = """
    import os
    import psycopg
    from psycopg.errors import UniqueViolation as Taken
    from contextlib import asynccontextmanager

    URL = os.environ["DATABASE_URL"]

    @asynccontextmanager
    async def opened():
        yield

    async def add(name):
        async with await psycopg.AsyncConnection.connect(URL) as connection:
            await connection.execute("insert into person (name) values (%s)", (name,))

    async def add_together(names):
        async with await psycopg.AsyncConnection.connect(URL, autocommit=True) as connection:
            async with connection.transaction(), connection.cursor() as cursor:
                await cursor.executemany(
                    "insert into person (name) values (%s)", [(name,) for name in names]
                )

    async def names():
        async with await psycopg.AsyncConnection.connect(URL, autocommit=True) as connection:
            cursor = await connection.execute("select name from person order by id")
            return [name for name, in await cursor.fetchall()]
"""

_PSYCOPG_POOL = """
    import os
    from contextlib import asynccontextmanager
    from psycopg.errors import UniqueViolation as Taken
    from psycopg_pool import AsyncConnectionPool

    pool = None

    @asynccontextmanager
    async def opened():
        global pool
        url = os.environ["DATABASE_URL"]
        async with AsyncConnectionPool(url, min_size=2, max_size=4, open=False) as pool:
            yield

    async def add(name):
        async with pool.connection() as connection:
            await connection.execute("insert into person (name) values (%s)", (name,))

    async def add_together(names):
        async with pool.connection() as connection, connection.transaction():
            for name in names:
                async with connection.transaction():
                    await connection.execute("insert into person (name) values (%s)", (name,))

    async def names():
        async with pool.connection() as connection:
            cursor = await connection.execute("select name from person order by id")
            return [name for name, in await cursor.fetchall()]
"""

_AIOSQLITE = """
    import os
    import aiosqlite
    from contextlib import asynccontextmanager
    from sqlite3 import IntegrityError as Taken

    FILE = os.environ["DATABASE_URL"].removeprefix("sqlite:///")

    @asynccontextmanager
    async def opened():
        yield

    async def add(name):
        async with aiosqlite.connect(FILE) as connection:
            await connection.execute("insert into person (name) values (?)", (name,))
            await connection.commit()

    async def add_together(names):
        async with aiosqlite.connect(FILE) as connection:
            for name in names:
                await connection.execute("insert into person (name) values (?)", (name,))
            await connection.commit()

    async def names():
        async with aiosqlite.connect(FILE) as connection:
            async with connection.execute("select name from person order by id") as cursor:
                return [name async for name, in cursor]
"""

_MYSQL = """
    import os
    from contextlib import asynccontextmanager
    from urllib.parse import parse_qs, urlsplit
    import {driver}
    from {errors} import IntegrityError as Taken

    url = urlsplit(os.environ["DATABASE_URL"])
    TARGET = dict(
        unix_socket=parse_qs(url.query)["unix_socket"][0],
        user=url.username,
        {db}=url.path.strip("/"),
    )

    @asynccontextmanager
    async def opened():
        yield

    async def add(name):
        async with {driver}.connect(**TARGET) as connection:
            async with connection.cursor() as cursor:
                await cursor.execute("insert into person (name) values (%s)", (name,))
            await connection.commit()

    async def add_together(names):
        async with {driver}.connect(**TARGET, autocommit=True) as connection:
            await connection.begin()
            try:
                async with connection.cursor() as cursor:
                    for name in names:
                        await cursor.execute("insert into person (name) values (%s)", (name,))
            except BaseException:
                await connection.rollback()
                raise
            await connection.commit()

    async def names():
        async with {driver}.connect(**TARGET, autocommit=True) as connection:
            async with connection.cursor({driver}.cursors.SSCursor) as cursor:
                await cursor.execute("select name from person order by id")
                return [name for name, in await cursor.fetchall()]
"""

_MYSQL_POOL = """
    import os
    from contextlib import asynccontextmanager
    from urllib.parse import parse_qs, urlsplit
    import {driver}
    from {errors} import IntegrityError as Taken

    url = urlsplit(os.environ["DATABASE_URL"])
    TARGET = dict(
        unix_socket=parse_qs(url.query)["unix_socket"][0],
        user=url.username,
        {db}=url.path.strip("/"),
    )
    pool = None

    @asynccontextmanager
    async def opened():
        global pool
        pool = await {driver}.create_pool(minsize=1, maxsize=3, autocommit=True, **TARGET)
        try:
            yield
        finally:
            pool.close()
            await pool.wait_closed()

    async def add(name):
        async with pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute("insert into person (name) values (%s)", (name,))

    async def add_together(names):
        async with pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute("begin")
            try:
                for name in names:
                    await cursor.execute("savepoint one")
                    await cursor.execute("insert into person (name) values (%s)", (name,))
                    await cursor.execute("release savepoint one")
            except BaseException:
                await cursor.execute("rollback")
                raise
            await cursor.execute("commit")

    async def names():
        async with pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute("select name from person order by id")
            return [name for name, in await cursor.fetchall()]
"""


def _mysql(template: str, driver: str) -> str:
    names = {
        "asyncmy": {"errors": "asyncmy.errors", "db": "database"},
        "aiomysql": {"errors": "pymysql.err", "db": "db"},
    }[driver]
    for name, value in {"driver": driver, **names}.items():
        template = template.replace(f"{{{name}}}", value)
    return template


_TORTOISE = """
    import os
    from contextlib import asynccontextmanager
    from tortoise import Tortoise, fields
    from tortoise.exceptions import IntegrityError as Taken
    from tortoise.models import Model
    from tortoise.transactions import in_transaction

    class Person(Model):
        id = fields.IntField(primary_key=True)
        name = fields.TextField()

    @asynccontextmanager
    async def opened():
        await Tortoise.init(db_url=os.environ["DATABASE_URL"], modules={"models": ["app.people"]})
        try:
            yield
        finally:
            await Tortoise.close_connections()

    async def add(name):
        await Person.create(name=name)

    async def add_together(names):
        async with in_transaction() as connection:
            for name in names:
                await Person.create(name=name, using_db=connection)

    async def names():
        return await Person.all().order_by("id").values_list("name", flat=True)
"""

APPLICATIONS = {
    "asyncpg": ("postgresql", "{url}", "", _ASYNCPG),
    "asyncpg-pool": ("postgresql", "{url}", "", _ASYNCPG_POOL),
    "sqlalchemy-asyncpg": ("postgresql", "{url}", "asyncpg", _SQLALCHEMY),
    "psycopg": ("postgresql", "{url}", "", _PSYCOPG),
    "psycopg-pool": ("postgresql", "{url}", "", _PSYCOPG_POOL),
    "sqlalchemy-psycopg": ("postgresql", "{url}", "psycopg", _SQLALCHEMY),
    "tortoise-asyncpg": (
        "postgresql",
        "asyncpg://{user}@/{database}?host={socket_dir}&port={port}",
        "",
        _TORTOISE,
    ),
    "asyncmy": ("mysql", "{url}", "asyncmy", _mysql(_MYSQL, "asyncmy")),
    "asyncmy-pool": ("mysql", "{url}", "asyncmy", _mysql(_MYSQL_POOL, "asyncmy")),
    "sqlalchemy-asyncmy": ("mysql", "{url}", "asyncmy", _SQLALCHEMY),
    "aiomysql": ("mysql", "{url}", "aiomysql", _mysql(_MYSQL, "aiomysql")),
    "aiomysql-pool": ("mysql", "{url}", "aiomysql", _mysql(_MYSQL_POOL, "aiomysql")),
    "sqlalchemy-aiomysql": ("mysql", "{url}", "aiomysql", _SQLALCHEMY),
    "aiosqlite": ("sqlite", "{url}", "", _AIOSQLITE),
    "sqlalchemy-aiosqlite": ("sqlite", "{url}", "aiosqlite", _SQLALCHEMY),
    # Tortoise's own default is WAL: a change of the file itself, which is committed at once.
    "tortoise-aiosqlite": ("sqlite", "sqlite://{database}?journal_mode=DELETE", "", _TORTOISE),
}
"""Each with its engine, its variable DATABASE_URL, the driver in `{url}`, and its code."""


def configuration(application: str, isolation: str) -> str:
    """The configuration of a project with an application."""
    engine, url, driver, _ = APPLICATIONS[application]
    return f"""
        [tool.slipstream.databases.main]
        engine = "{engine}"
        schema = "schema.sql"
        isolation = "{isolation}"
        driver = "{driver}"
        env = {{ DATABASE_URL = "{url}" }}
    """


def files(application: str) -> dict[str, str]:
    """The files of a project with an application."""
    engine, _, _, code = APPLICATIONS[application]
    return {"app/people.py": code, "schema.sql": SCHEMA[engine]}
