"""What one engine has compiled is used by another that is alike, and by no other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    ForeignKey,
    LargeBinary,
    String,
    TypeDecorator,
    cast,
    create_engine,
    event,
    literal,
    select,
    update,
)
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    joinedload,
    mapped_column,
    relationship,
)
from sqlalchemy.pool import NullPool, StaticPool
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement

from memoised import NewDatabase
from projects import Project
from pytest_slipstream import events
from pytest_slipstream.databases.shared_statements import OPERATION, Likenesses, SharedStatements
from pytest_slipstream.databases.urls import url

ROUNDS = 4


class Named(TypeDecorator[str]):
    """Says by which dialect it was bound."""

    impl = String(30)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str:
        return f"{dialect.name}:{value}"


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "person"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Named)
    notes: Mapped[Any] = mapped_column(JSON, default=None)
    purchases: Mapped[list[Purchase]] = relationship(back_populates="person")


class Purchase(Base):
    __tablename__ = "purchase"

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    state: Mapped[str] = mapped_column(String(9), default="open")
    person: Mapped[Person] = relationship(back_populates="purchases")


def use(session: Session, number: int) -> list[object]:
    """A program that sends statements of many kinds, with other values each time."""
    people = [Person(name=f"p{n}", notes={"n": n}) for n in range(number, 2 * number + 2)]
    session.add_all(people)
    session.flush()
    session.add_all(Purchase(person=person) for person in people[1:])
    session.commit()
    session.execute(update(Purchase).where(Purchase.id == number + 1).values(state="paid"))
    chosen = select(Person).where(Person.id.in_(range(1, number + 2))).order_by(Person.id)
    found = session.scalars(chosen.options(joinedload(Person.purchases))).unique()
    rows = [(one.name, one.notes, [p.state for p in one.purchases]) for one in found]
    joined = select(Person.name, Purchase.state).join(Purchase).order_by(Purchase.id)
    return [rows, session.execute(joined.limit(number + 1)).all()]


def new_engine(address: str, **options: Any) -> Engine:
    pool = StaticPool if address.startswith("sqlite") else NullPool
    return create_engine(address, poolclass=pool, **options)


class Run:
    """Counts what is compiled while statements are shared."""

    def __init__(self) -> None:
        self.shared = SharedStatements()
        self.compiled = 0

    def one(self, number: int, engine: Engine) -> list[object]:
        """A test with an engine of its own; how many statements were compiled comes first."""
        before = self.compiled
        Base.metadata.create_all(engine)
        with Session(engine) as session:
            seen = use(session, number)
        Base.metadata.drop_all(engine)
        engine.dispose()
        return [self.compiled - before, seen]

    @property
    def told(self) -> list[events.Event]:
        """What the summary is made from."""
        found: list[events.Event] = []
        self.shared.report(found.append)
        return found


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    run = Run()
    compiling = SQLCompiler.__init__

    def counted(compiler: Any, dialect: Any, statement: Any, cache_key: Any = None, **options: Any):
        run.compiled += cache_key is not None
        compiling(compiler, dialect, statement, cache_key, **options)

    monkeypatch.setattr(SQLCompiler, "__init__", counted)
    yield run
    run.shared.take_down()


@pytest.fixture(params=["sqlite", "psycopg", "psycopg2", "asyncpg", "pymysql", "asyncmy"])
def address(
    request: pytest.FixtureRequest,
) -> str:
    if request.param == "sqlite":
        return "sqlite://"
    is_mysql = "mysql" in request.param or request.param == "asyncmy"
    new: NewDatabase = request.getfixturevalue("new_mysql_database" if is_mysql else "new_database")
    return url(new(), driver=request.param)


def each_round(run: Run, address: str) -> list[Any]:
    if "async" not in address:
        return [run.one(number, new_engine(address)) for number in range(ROUNDS)]

    async def one(number: int) -> list[object]:
        engine = create_async_engine(address, poolclass=NullPool)
        before = run.compiled
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
            seen = await connection.run_sync(lambda sync: use(Session(sync), number))
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
        await engine.dispose()
        return [run.compiled - before, seen]

    return [asyncio.run(one(number)) for number in range(ROUNDS)]


def test_engines_that_are_alike_compile_once(run: Run, address: str) -> None:
    as_they_are = each_round(run, address)
    run.shared.put_up()
    shared = each_round(run, address)

    assert [seen for _, seen in shared] == [seen for _, seen in as_they_are]
    assert all(compiled > 0 for compiled, _ in as_they_are)
    assert [compiled for compiled, _ in shared[2:]] == [0] * (ROUNDS - 2)
    (told,) = run.told
    assert isinstance(told, events.OperationMemoised)
    assert told.operation == OPERATION
    assert told.times >= sum(compiled for compiled, _ in as_they_are[2:])
    assert told.slow_seconds > 0


OTHERS: dict[str, dict[str, Any]] = {
    "another way to write JSON": {"json_serializer": lambda value: json.dumps([value])},
    "another style of parameters": {"paramstyle": "named"},
    "casts": {"label_length": 6},
}


@pytest.mark.parametrize("other", OTHERS)
def test_engines_that_are_not_alike_compile_for_themselves(run: Run, other: str) -> None:
    def statements(*options: dict[str, Any]) -> list[object]:
        found: list[object] = []
        for each in options:
            engine = new_engine("sqlite://", **each)
            event.listen(
                engine, "before_cursor_execute", lambda *given: found.append(repr(given[2:4]))
            )
            found.append(run.one(2, engine)[1])
        return found

    ways = ({}, OTHERS[other], {}, OTHERS[other])
    as_they_are = statements(*ways)
    run.shared.put_up()

    assert statements(*ways) == as_they_are
    assert run.shared.times > 0


def quote_all(engine: Engine) -> None:
    engine.dialect.identifier_preparer.__dict__["_requires_quotes"] = lambda name: True


def reserve_a_word(engine: Engine) -> None:
    engine.dialect.identifier_preparer.reserved_words = {"answer"}


def name_a_type(engine: Engine) -> None:
    engine.dialect.type_compiler_instance.__dict__["visit_VARCHAR"] = lambda *_, **__: "TEXT"


def take_another_driver(engine: Engine) -> None:
    other = ModuleType("other")
    vars(other).update(vars(engine.dialect.dbapi), Binary=lambda value: b"other " + value)
    engine.dialect.dbapi = other


@pytest.mark.parametrize("change", [quote_all, reserve_a_word, name_a_type, take_another_driver])
def test_who_changed_a_dialect_by_hand_compiles(run: Run, change: Callable[[Engine], None]) -> None:
    def sent(*changes: Callable[[Engine], None]) -> list[object]:
        found: list[object] = []
        for changed in changes:
            engine = new_engine("sqlite://")
            changed(engine)
            event.listen(
                engine,
                "before_cursor_execute",
                lambda *given: found.append((given[2], [bytes(value) for value in given[3]])),
            )
            with engine.connect() as connection:
                connection.execute(select(cast(literal(b"x", LargeBinary), String).label("answer")))
        return found

    ways = (lambda engine: None, change, lambda engine: None)
    as_they_are = sent(*ways)
    assert as_they_are[0] != as_they_are[1]
    run.shared.put_up()

    assert sent(*ways) == as_they_are
    assert run.shared.times == 1


def test_a_dialect_that_cannot_be_compared_shares_nothing(run: Run) -> None:
    run.shared.put_up()
    for _ in range(2):
        engine = new_engine("sqlite://")
        vars(engine.dialect)["of_the_suite"] = {"labels": ["a", "b"]}
        with engine.connect() as connection:
            assert connection.scalar(select(literal(1))) == 1
    assert run.compiled == 2


def test_a_dialect_may_learn_while_it_is_compared() -> None:
    class Busy(dict[str, int]):
        """Stands for another thread, which uses the same engine for the first time."""

        def items(self) -> Any:
            vars(engine.dialect)["learnt"] = True
            return super().items()

    engine = new_engine("sqlite://")
    vars(engine.dialect)["of_the_suite"] = Busy()
    assert Likenesses().of(engine.dialect) is not None


def test_a_product_is_not_another(run: Run, new_database: NewDatabase) -> None:
    run.shared.put_up()
    for name, address in (
        ("sqlite", "sqlite://"),
        ("postgresql", url(new_database(), driver="psycopg")),
    ):
        compiled, ((person, *_), _) = run.one(1, new_engine(address))
        assert compiled > 0
        assert person[0] == f"{name}:p1"


def test_who_asks_for_no_cache_or_has_one_compiles(run: Run) -> None:
    run.shared.put_up()
    run.one(1, new_engine("sqlite://"))
    own: dict[Any, Any] = {}

    before = run.compiled
    with new_engine("sqlite://").connect() as connection:
        connection.execution_options(compiled_cache=own).execute(select(1))
    with new_engine("sqlite://", query_cache_size=0).connect() as connection:
        connection.execute(select(2))
    assert run.compiled - before == 1
    assert len(own) == 1
    assert run.shared.times == 0


def test_who_clears_the_cache_compiles_again(run: Run) -> None:
    def compiled(engine: Engine) -> int:
        before = run.compiled
        with engine.connect() as connection:
            assert connection.scalar(select(literal(before))) == before
        return run.compiled - before

    run.shared.put_up()
    assert [compiled(new_engine("sqlite://")) for _ in range(3)] == [1, 0, 0]
    new_engine("sqlite://").clear_compiled_cache()
    assert [compiled(new_engine("sqlite://")) for _ in range(2)] == [1, 0]


def test_afterwards_sqlalchemy_is_its_own(run: Run) -> None:
    own: list[Callable[..., Any]] = [
        vars(ClauseElement)["_compile_w_cache"],
        vars(Engine)["clear_compiled_cache"],
    ]
    run.shared.put_up()
    assert vars(ClauseElement)["_compile_w_cache"] is not own[0]
    run.shared.take_down()
    assert [
        vars(ClauseElement)["_compile_w_cache"],
        vars(Engine)["clear_compiled_cache"],
    ] == own


def test_a_whole_run(pytester: pytest.Pytester) -> None:
    project = Project(pytester, "")
    result = project.run(
        "--slipstream-statements=shared",
        tests="""
            import pytest
            from sqlalchemy import create_engine, literal, select

            @pytest.mark.parametrize("number", range(5))
            def test_selects(number):
                with create_engine("sqlite://").connect() as connection:
                    assert connection.scalar(select(literal(number))) == number
        """,
    )
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines([f"{OPERATION}: replaced 4 times, in *"])
