"""What the ORMs write for their own types, strict SQLite takes, and gives back unchanged."""

from __future__ import annotations

import pytest

from projects import Project

CONFIGURATION = """
    [tool.slipstream.databases.main]
    engine = "sqlite"
    strict = true
    schema = [{schema}]
    env = {{ DATABASE_URL = "{{url}}", DATABASE_PATH = "{{database}}" }}
    {more}
"""
SQLALCHEMY = """
    import enum
    import sqlalchemy as sa

    metadata = sa.MetaData()
    Colour = enum.Enum("Colour", "red green")
    TYPES = {
        "big": sa.BigInteger, "flag": sa.Boolean, "day": sa.Date, "moment": sa.DateTime,
        "aware": sa.DateTime(timezone=True), "real": sa.Double, "choice": sa.Enum(Colour),
        "measure": sa.Float, "whole": sa.Integer, "span": sa.Interval, "data": sa.LargeBinary,
        "amount": sa.Numeric(10, 2), "anything": sa.PickleType, "small": sa.SmallInteger,
        "short": sa.String(5), "words": sa.Text, "hour": sa.Time, "letters": sa.Unicode(3),
        "key": sa.Uuid, "native_key": sa.UUID, "document": sa.JSON, "bytes": sa.VARBINARY(3),
    }
    table = sa.Table(
        "zoo", metadata, sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(name, kind) for name, kind in TYPES.items()),
    )
"""
SQLMODEL = """
    import datetime, decimal, uuid
    from enum import Enum
    from pydantic import AwareDatetime
    from sqlmodel import Field, SQLModel


    class Mood(str, Enum):
        GOOD = "good"


    class Animal(SQLModel, table=True):
        id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
        mood: Mood = Mood.GOOD
        born: datetime.date
        seen: AwareDatetime
        weight: decimal.Decimal = Field(max_digits=8, decimal_places=3)
        age: datetime.timedelta
        tame: bool
        picture: bytes
        name: str = Field(max_length=4)
"""
PEEWEE = """
    import os
    import peewee as pw

    database = pw.SqliteDatabase(os.environ["DATABASE_PATH"])


    class Zoo(pw.Model):
        big = pw.BigIntegerField()
        small = pw.SmallIntegerField()
        whole = pw.IntegerField()
        flag = pw.BooleanField()
        real = pw.FloatField()
        double = pw.DoubleField()
        amount = pw.DecimalField(max_digits=8, decimal_places=2)
        name = pw.CharField(max_length=4)
        letters = pw.FixedCharField(max_length=4)
        words = pw.TextField()
        data = pw.BlobField()
        key = pw.UUIDField()
        binary_key = pw.BinaryUUIDField()
        day = pw.DateField()
        hour = pw.TimeField()
        moment = pw.DateTimeField()
        stamp = pw.TimestampField()
        address = pw.IPField()
        flags = pw.BitField()

        class Meta:
            database = database
            table_name = "peewee_zoo"
"""
TORTOISE = """
    from enum import Enum
    from tortoise import Tortoise, fields
    from tortoise.models import Model


    class Mood(Enum):
        GOOD = "good"


    class Zoo(Model):
        id = fields.IntField(primary_key=True)
        big = fields.BigIntField()
        small = fields.SmallIntField()
        flag = fields.BooleanField()
        name = fields.CharField(max_length=4)
        words = fields.TextField()
        mood = fields.CharEnumField(Mood)
        amount = fields.DecimalField(max_digits=8, decimal_places=2)
        real = fields.FloatField()
        day = fields.DateField()
        moment = fields.DatetimeField()
        span = fields.TimeDeltaField()
        document = fields.JSONField()
        key = fields.UUIDField()
        data = fields.BinaryField()

        class Meta:
            table = "tortoise_zoo"


    async def connect(url):
        await Tortoise.init(
            db_url=url.replace("sqlite:///", "sqlite://"), modules={"models": [__name__]}
        )


    async def create(url):
        await connect(url.replace("+aiosqlite", ""))  # Tortoise names no driver
        await Tortoise.generate_schemas()
        await Tortoise.close_connections()
"""
TESTS = """
    import asyncio, datetime, decimal, os, uuid

    import sqlalchemy as sa
    from sqlmodel import Session

    from zoo_peewee import Zoo as PeeweeZoo, database
    from zoo_sqlalchemy import Colour, table
    from zoo_sqlmodel import Animal
    from zoo_tortoise import Mood, Tortoise, Zoo as TortoiseZoo, connect

    engine = sa.create_engine(os.environ["DATABASE_URL"])
    DAY, HOUR = datetime.date(2024, 2, 29), datetime.time(23, 59, 59, 123456)
    MOMENT, SPAN = datetime.datetime.combine(DAY, HOUR), datetime.timedelta(days=3, seconds=5)
    AWARE = MOMENT.replace(tzinfo=datetime.timezone.utc)
    KEY, AMOUNT = uuid.uuid4(), decimal.Decimal("-123456.78")

    def test_sqlalchemy():
        values = {
            "big": 2**63 - 1, "flag": True, "day": DAY, "moment": MOMENT, "aware": MOMENT,
            "real": 1.5, "choice": Colour.green, "measure": -1e300, "whole": -(2**31),
            "span": SPAN, "data": bytes(range(256)), "amount": AMOUNT, "anything": {1: [2]},
            "small": 32767, "short": "äöüßé", "words": "x" * 60_000, "hour": HOUR,
            "letters": "日本語", "key": KEY, "native_key": KEY, "bytes": b"abc",
            "document": {"a": [1, None, "é", 1.5]},
        }
        assert values.keys() == {*table.columns.keys()} - {"id"}
        with engine.begin() as connection:
            connection.execute(table.insert(), values)
            connection.execute(table.insert(), dict.fromkeys(values))
            for document in (5, "text", "12", [], None, True, 1.5):
                connection.execute(table.insert(), {"document": document})
            row = connection.execute(table.select().where(table.c.id == 1)).one()
            assert {**row._mapping, "id": None} == {**values, "id": None}

    def test_sqlmodel():
        with Session(engine) as session:
            animal = Animal(
                born=DAY, seen=AWARE, weight=decimal.Decimal("1.250"), age=SPAN, tame=False,
                picture=b"abc", name="Rexx",
            )
            session.add(animal)
            session.commit()
            session.refresh(animal)
            assert (animal.born, animal.age) == (DAY, SPAN)

    def test_peewee():
        values = dict(
            big=2**40, small=5, whole=7, flag=True, real=1.5, double=2.5, amount=AMOUNT,
            name="abcd", letters="ab", words="text", data=b"abc", key=KEY, binary_key=KEY,
            day=DAY, hour=HOUR, moment=MOMENT, stamp=MOMENT.replace(microsecond=0),
            address="127.0.0.1", flags=3,
        )
        with database.connection_context():
            PeeweeZoo.create(**values)
            found = PeeweeZoo.get()
            assert {name: getattr(found, name) for name in values if name != "data"} == {
                name: value for name, value in values.items() if name != "data"
            }

    def test_tortoise():
        async def body():
            await connect(os.environ["DATABASE_URL"])
            await TortoiseZoo.create(
                big=2**40, small=5, flag=True, name="abcd", words="text", mood=Mood.GOOD,
                amount=AMOUNT, real=1.5, day=DAY, moment=MOMENT, span=SPAN,
                document={"a": [1]}, key=KEY, data=b"abc",
            )
            found = await TortoiseZoo.get(id=1)
            await Tortoise.close_connections()
            return found

        found = asyncio.run(body())
        assert (found.day, found.span, found.document, found.key) == (DAY, SPAN, {"a": [1]}, KEY)

    def test_no_tool_sees_a_difference():
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        def seen(connection):
            context = MigrationContext.configure(connection, opts={
                "compare_type": True,
                "compare_server_default": True,
                "include_name": lambda name, kind, parents: kind != "table" or name == "zoo",
            })
            inspector = sa.inspect(connection)
            return repr((
                compare_metadata(context, table.metadata), inspector.get_columns("zoo"),
                inspector.get_check_constraints("zoo"), inspector.get_indexes("zoo"),
                inspector.get_unique_constraints("zoo"), inspector.get_pk_constraint("zoo"),
            ))

        with sa.create_engine("sqlite://").connect() as plain, engine.connect() as strict:
            table.metadata.create_all(plain)
            assert seen(strict) == seen(plain)
"""


@pytest.mark.parametrize("more", ["", 'stands_for = "mysql"', 'stands_for = "postgresql"'])
def test_orms_write_their_types(pytester: pytest.Pytester, more: str):
    sources = (
        '"zoo_sqlalchemy:metadata", "zoo_sqlmodel:SQLModel", "zoo_peewee:Zoo", '
        '"zoo_tortoise:create"'
    )
    project = Project(pytester, CONFIGURATION.format(schema=sources, more=more))
    project.write(
        {
            "zoo_sqlalchemy.py": SQLALCHEMY,
            "zoo_sqlmodel.py": SQLMODEL,
            "zoo_peewee.py": PEEWEE,
            "zoo_tortoise.py": TORTOISE,
        }
    )
    project.run(tests=TESTS).assert_outcomes(passed=5)
