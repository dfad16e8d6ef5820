"""The engines under the contract, and what their SQL differs in.

The invariant: a test of this directory holds for every engine. To add an engine is to add one
`Product` to `PRODUCTS`.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_slipstream.databases import engines, naming
from pytest_slipstream.databases.engines.protocol import Cleaning, Engine, Owner, Slot
from pytest_slipstream.databases.servers import mysql_binaries
from pytest_slipstream.errors import SlipstreamError
from pytest_slipstream.settings import DatabaseSettings
from trial_slots import names_of_slots

_TABLES = """
CREATE TABLE roles ({identity}, name varchar(40) NOT NULL UNIQUE);
CREATE TABLE users (
    {identity},
    role_id integer NOT NULL REFERENCES roles (id),
    name varchar(40) NOT NULL,
    score integer NOT NULL DEFAULT 0 CHECK (score >= 0),
    shout text GENERATED ALWAYS AS (upper(name)) STORED
);
CREATE INDEX users_by_name ON users (name);
CREATE TABLE pairs (a integer, b integer, note text, PRIMARY KEY (a, b)){without_rowid};
CREATE TABLE "odd ""Name" ("a column" text, payload {blob});
CREATE VIEW admins AS SELECT users.name FROM users JOIN roles ON role_id = roles.id;
"""
_SEED = """
INSERT INTO roles (name) VALUES ('admin'), ('user; "quoted"'), ('guest');
INSERT INTO users (role_id, name, score) VALUES (1, 'root', 7), (2, 'ann', 0);
INSERT INTO pairs VALUES (1, 1, NULL), (1, 2, '');
INSERT INTO "odd ""Name" VALUES ('x', {blob_value}), ('x', {blob_value}), (NULL, NULL);
"""


@dataclasses.dataclass(frozen=True)
class Product:
    """An engine with its settings, and the SQL in which it differs from the others."""

    label: str
    settings: DatabaseSettings
    identity: str
    blob: str
    blob_value: str
    without_rowid: str = ""
    schema_prefix: str = "public"
    impatience: str = "PRAGMA busy_timeout = 0"
    survives_hidden_locks: bool = True
    more_schema: str = ""
    more_statements: tuple[str, ...] = ()

    @property
    def schema(self) -> str:
        """The script that makes the tables."""
        return _TABLES.format(
            identity=self.identity, blob=self.blob, without_rowid=self.without_rowid
        )

    @property
    def seed(self) -> str:
        """The script that fills the template."""
        return _SEED.format(blob_value=self.blob_value)

    @property
    def errors(self) -> type[Exception]:
        """What the driver raises when a statement fails."""
        drivers = {"sqlite": "sqlite3", "postgresql": "psycopg", "mysql": "pymysql"}
        found: type[Exception] = importlib.import_module(drivers[self.settings.engine]).Error
        return found

    def load_other(self, cache_dir: Path) -> Engine:
        """The engine, as another run would have it."""
        other = Owner(testrun_uid=uuid.uuid4().hex, worker="main")
        return engines.load("main", self.settings, cache_dir=cache_dir, owner=other)


_SQLITE = Product(
    label="sqlite",
    settings=DatabaseSettings(engine="sqlite"),
    identity="id integer PRIMARY KEY AUTOINCREMENT",
    blob="blob",
    blob_value="x'00ff'",
    without_rowid=" WITHOUT ROWID",
    schema_prefix="main",
    more_schema="""
        CREATE VIRTUAL TABLE words USING fts5(text);
        INSERT INTO words VALUES ('a quick brown fox'), ('a lazy dog');
        CREATE TABLE log (what);
        CREATE TRIGGER users_log AFTER UPDATE ON users BEGIN
            INSERT INTO log VALUES (old.score); INSERT INTO log VALUES (new.score);
        END;
        CREATE TABLE later (
            id integer PRIMARY KEY,
            other integer REFERENCES later (id) DEFERRABLE INITIALLY DEFERRED
        );
        CREATE TABLE "mixed values" (anything, number real, virtual AS (anything || '!'));
        INSERT INTO "mixed values" VALUES (1, 1), ('1', 9e999), (1.0, -0.0), (x'31', NULL);
        PRAGMA user_version = 12;
    """,
    more_statements=(
        "UPDATE sqlite_sequence SET seq = seq + 10",
        "DELETE FROM sqlite_sequence",
        "PRAGMA foreign_keys = ON",
        "PRAGMA user_version = 5",
        "PRAGMA application_id = 77",
        "PRAGMA journal_mode = WAL",
        "PRAGMA journal_mode = TRUNCATE",
        "PRAGMA page_size = 8192",
        "PRAGMA auto_vacuum = FULL",
        "PRAGMA cache_size = 1",
        "PRAGMA locking_mode = EXCLUSIVE",
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = replace(sql, 'text', 'TEXT') WHERE name = 'log'",
        "VACUUM",
        "ANALYZE",
        "REINDEX",
        "BEGIN",
        "BEGIN IMMEDIATE",
        "BEGIN EXCLUSIVE",
        "INSERT INTO words VALUES ('another fox')",
        "DELETE FROM words WHERE words MATCH 'fox'",
        "INSERT INTO words (words) VALUES ('optimize')",
        "DROP TABLE words",
        "CREATE VIRTUAL TABLE more_words USING fts5(text)",
        "INSERT OR REPLACE INTO roles (id, name) VALUES (1, 'guest')",
        "INSERT INTO pairs VALUES (1, 1, 'u') ON CONFLICT DO UPDATE SET note = 'u'",
        'UPDATE "mixed values" SET anything = typeof(anything)',
        'UPDATE "mixed values" SET anything = CAST(anything AS text)',
        "DROP TRIGGER users_log",
        "CREATE TRIGGER extra BEFORE DELETE ON pairs BEGIN DELETE FROM users; END",
        "CREATE TEMP TABLE shadow AS SELECT * FROM users",
        "CREATE TEMP TRIGGER t AFTER INSERT ON roles BEGIN DELETE FROM pairs; END",
        "INSERT INTO log SELECT zeroblob(9000) FROM users, pairs, roles",
    ),
)
_STANDARD_SQL = (
    "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,"
    "ANSI_QUOTES,PIPES_AS_CONCAT"
)
_OF_FLAVOUR = {
    "mariadb": (
        """
        CREATE TABLE in_aria (n integer) ENGINE = Aria;
        CREATE SEQUENCE numbers START WITH 100 INCREMENT BY 10;
        CREATE TABLE numbered (id integer DEFAULT (NEXT VALUE FOR numbers) PRIMARY KEY, n integer);
        CREATE TABLE versions (id integer PRIMARY KEY, n integer) WITH SYSTEM VERSIONING;
        INSERT INTO versions VALUES (1, 1);
        UPDATE versions SET n = 2;
        """,
        (
            "UPDATE in_aria SET n = {n}",
            "INSERT INTO in_aria VALUES ({n}), ({m})",
            "SELECT NEXT VALUE FOR numbers",
            "SELECT SETVAL(numbers, 500)",
            "INSERT INTO numbered (n) VALUES ({n})",
            "UPDATE versions SET n = {n}",
            "DELETE FROM versions",
            "ALTER TABLE versions DROP SYSTEM VERSIONING",
            "DROP SEQUENCE IF EXISTS numbers",
        ),
    ),
    "mysql": (
        """
        CREATE TABLE more (
            id integer AUTO_INCREMENT PRIMARY KEY,
            doc json,
            hidden integer INVISIBLE DEFAULT (7),
            place point NOT NULL SRID 4326 DEFAULT (ST_SRID(POINT(1, 2), 4326)),
            KEY by_value ((CAST(doc->'$.a' AS UNSIGNED ARRAY))),
            KEY backwards (hidden DESC) INVISIBLE,
            KEY computed ((hidden + 1)),
            SPATIAL KEY (place)
        );
        INSERT INTO more (doc, hidden) VALUES ('{"a": [1, 2]}', 3), (NULL, NULL);
        ALTER TABLE more ADD COLUMN instant integer DEFAULT 5, ALGORITHM = INSTANT;
        """,
        (
            "INSERT INTO more (doc, hidden) VALUES ('{{\"a\": [{n}]}}', {m})",
            "UPDATE more SET hidden = {n}",
            "UPDATE more SET place = ST_SRID(POINT({n}, {m}), 4326)",
            "DELETE FROM more WHERE {n} MEMBER OF (doc->'$.a')",
            "TRUNCATE more",
            "ALTER TABLE more DROP COLUMN instant, ALGORITHM = INSTANT",
            "ALTER TABLE more ALTER COLUMN hidden SET VISIBLE",
            "ALTER TABLE more ALTER INDEX backwards VISIBLE",
            "ALTER TABLE users ALTER CHECK users_chk_1 NOT ENFORCED",
            "SET SESSION sql_generate_invisible_primary_key = ON",
            "ANALYZE TABLE users UPDATE HISTOGRAM ON score",
        ),
    ),
}


def mysql_flavour() -> str:
    """MariaDB, unless the tests run on MySQL."""
    try:
        return mysql_binaries.find_binaries(os.environ).flavour
    except SlipstreamError:
        return "mariadb"  # there is none, and tests are skipped


def with_flavour(product: Product) -> Product:
    """The product, with what MariaDB or MySQL alone has."""
    schema, statements = _OF_FLAVOUR[mysql_flavour()]
    return dataclasses.replace(
        product,
        more_schema=product.more_schema + schema,
        more_statements=product.more_statements + statements,
    )


_MYSQL = Product(
    label="mysql",
    settings=DatabaseSettings(engine="mysql", server_options={"sql_mode": _STANDARD_SQL}),
    identity="id integer AUTO_INCREMENT PRIMARY KEY",
    blob="blob",
    blob_value="x'00ff'",
    schema_prefix="main",
    impatience="SET innodb_lock_wait_timeout = 0, lock_wait_timeout = 0",
    more_schema="""
        CREATE TABLE log (what integer);
        CREATE TABLE parents (id integer PRIMARY KEY, name varchar(20) CHARACTER SET latin1);
        CREATE TABLE children (
            id integer AUTO_INCREMENT PRIMARY KEY,
            parent integer,
            FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE ON UPDATE CASCADE
        );
        CREATE TABLE grandchildren (
            child integer, note text,
            FOREIGN KEY (child) REFERENCES children (id) ON DELETE SET NULL
        );
        INSERT INTO parents VALUES (1, 'eins'), (2, 'zwei'), (5, 'fünf');
        INSERT INTO children (parent) VALUES (1), (1), (2);
        INSERT INTO grandchildren VALUES (1, 'of one'), (1, 'of one'), (3, NULL);
        CREATE TABLE kinds (
            id varchar(10) PRIMARY KEY,
            single float, `double one` double, exact decimal(20, 6), bits bit(10),
            moment datetime(6), mark timestamp NULL, choice enum('a', 'b'), choices set('x', 'y'),
            doc json, place point, twice integer AS (exact * 2) VIRTUAL,
            FULLTEXT KEY (id)
        ) ROW_FORMAT = DYNAMIC COMMENT = 'AUTO_INCREMENT=7 is no position';
        INSERT INTO kinds
            (id, single, `double one`, exact, bits, moment, choice, choices, doc, place)
        VALUES ('one', 0.1, 1e300, 1.000001, b'1010', '2020-02-03 04:05:06.789', 'b', 'x,y',
            '{"a": [1, 2]}', POINT(1, 2)),
            ('Two ', 16777217, 0.1, NULL, NULL, NULL, NULL, '', NULL, NULL);
        CREATE TABLE parts (id integer AUTO_INCREMENT, at integer, PRIMARY KEY (id, at))
            PARTITION BY RANGE (at) (PARTITION low VALUES LESS THAN (10),
                PARTITION high VALUES LESS THAN MAXVALUE);
        INSERT INTO parts (at) VALUES (5), (50);
        CREATE TABLE in_myisam (id integer AUTO_INCREMENT PRIMARY KEY, n integer) ENGINE = MyISAM;
        INSERT INTO in_myisam (n) VALUES (1), (2);
        CREATE TABLE in_memory (id integer AUTO_INCREMENT PRIMARY KEY, n integer) ENGINE = MEMORY;
        INSERT INTO in_memory (n) VALUES (7);
        CREATE VIEW b_view AS SELECT name FROM parents;
        CREATE VIEW a_view AS SELECT * FROM b_view WHERE name <> 'zwei';
        DELIMITER //
        CREATE FUNCTION doubled(n integer) RETURNS integer DETERMINISTIC
        BEGIN
            DECLARE result integer; SET result = n * 2; RETURN result;
        END//
        CREATE PROCEDURE add_pair(a integer) BEGIN INSERT INTO pairs VALUES (a, a, 'called'); END//
        CREATE TRIGGER users_log AFTER UPDATE ON users FOR EACH ROW
        BEGIN INSERT INTO log VALUES (old.score); INSERT INTO log VALUES (new.score); END//
        CREATE TRIGGER pairs_first BEFORE INSERT ON pairs FOR EACH ROW
            SET new.note = coalesce(new.note, '-')//
        CREATE TRIGGER pairs_second BEFORE INSERT ON pairs FOR EACH ROW
            SET new.note = new.note || '!'//
        CREATE TRIGGER pairs_gone AFTER DELETE ON pairs FOR EACH ROW
            INSERT INTO log VALUES (old.a)//
        DELIMITER ;
        CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM log;
    """,
    more_statements=(
        "TRUNCATE users",
        "TRUNCATE log",
        "TRUNCATE in_myisam",
        "TRUNCATE children",
        "SET foreign_key_checks = 0",
        "DELETE FROM parents WHERE id = {n}",
        "UPDATE parents SET id = id + 10 WHERE id = {n}",
        "UPDATE parents SET name = upper(name)",
        "INSERT INTO children (parent) VALUES ({n})",
        "DELETE FROM grandchildren LIMIT 1",
        "UPDATE grandchildren SET note = {name}",
        "UPDATE kinds SET id = upper(id)",
        "UPDATE kinds SET id = trim(id), single = single + 1e-6",
        "UPDATE kinds SET doc = JSON_SET(doc, '$.a', {n}), place = POINT({n}, {m})",
        "UPDATE kinds SET choice = NULL, bits = b'1', mark = now()",
        "INSERT INTO parts (at) VALUES ({n}), (70)",
        "DELETE FROM parts PARTITION (high)",
        "ALTER TABLE parts TRUNCATE PARTITION low",
        "INSERT INTO in_myisam (n) VALUES ({n})",
        "DELETE FROM in_memory",
        "INSERT INTO in_memory (n) VALUES ({n})",
        "CALL add_pair({n})",
        "REPLACE INTO roles (id, name) VALUES ({n}, {name})",
        "INSERT INTO roles (name) VALUES ({name}) ON DUPLICATE KEY UPDATE name = name || '+'",
        "INSERT IGNORE INTO roles (name) VALUES ({name})",
        "UPDATE roles, users SET roles.name = 'both', users.score = 9 WHERE roles.id = users.id",
        "LOCK TABLES users WRITE",
        "LOCK TABLES in_myisam READ",
        "UNLOCK TABLES",
        "START TRANSACTION",
        "START TRANSACTION READ ONLY",
        "SET autocommit = 1",
        "SELECT * FROM users FOR UPDATE",
        "CREATE TEMPORARY TABLE users (a integer)",
        "CREATE TEMPORARY TABLE shadow AS SELECT * FROM pairs",
        "ANALYZE TABLE users, roles",
        "OPTIMIZE TABLE pairs",
        "FLUSH TABLES",
        "ALTER TABLE users AUTO_INCREMENT = 50",
        "ALTER TABLE users FORCE",
        "ALTER TABLE pairs COMMENT = 'a comment'",
        "ALTER TABLE pairs ENGINE = MyISAM",
        "ALTER TABLE users DROP FOREIGN KEY users_ibfk_1",
        "DROP TRIGGER users_log",
        "CREATE TRIGGER extra BEFORE DELETE ON roles FOR EACH ROW DELETE FROM pairs",
        "DROP FUNCTION doubled",
        "CREATE PROCEDURE extra() SELECT 1",
        "ALTER PROCEDURE add_pair COMMENT 'x'",
        "DROP EVENT nightly",
        "ALTER EVENT nightly ON SCHEDULE EVERY 2 DAY",
        "RENAME TABLE pairs TO couples",
        "CREATE OR REPLACE VIEW admins AS SELECT 1 AS name",
        "CREATE TABLE copy LIKE users",
    ),
)
PRODUCTS = (
    _SQLITE,
    dataclasses.replace(
        _SQLITE,
        label="sqlite-memory",
        settings=DatabaseSettings(engine="sqlite", memory=True),
        survives_hidden_locks=False,
    ),
    Product(
        label="postgresql",
        settings=DatabaseSettings(engine="postgresql"),
        identity="id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
        blob="bytea",
        blob_value=r"'\x00ff'",
        impatience="SET lock_timeout = '20ms'",
        more_schema="""
            CREATE SCHEMA "other Schema";
            CREATE TYPE mood AS ENUM ('good', 'bad');
            CREATE DOMAIN small AS integer CHECK (VALUE < 1000);
            CREATE TABLE "other Schema".things (n small, m mood);
            INSERT INTO "other Schema".things VALUES (1, 'good'), (2, 'bad');
            CREATE TABLE parts (id integer, at date) PARTITION BY RANGE (at);
            CREATE TABLE parts_2020 PARTITION OF parts
                FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
            CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
            INSERT INTO parts VALUES (1, '2020-05-05'), (2, '1999-01-01');
            CREATE TABLE parent (a integer);
            CREATE TABLE child (b integer) INHERITS (parent);
            INSERT INTO child VALUES (1, 2);
            CREATE MATERIALIZED VIEW summary AS SELECT count(*) FROM users;
            CREATE SEQUENCE free_sequence START 100;
            CREATE TABLE later (
                id integer PRIMARY KEY,
                other integer REFERENCES later DEFERRABLE INITIALLY DEFERRED
            );
            CREATE TABLE always (id integer GENERATED ALWAYS AS IDENTITY, note text);
            INSERT INTO always (note) VALUES ('one'), ('two');
            CREATE TABLE log (what integer);
            CREATE FUNCTION log_score() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN INSERT INTO log VALUES (new.score); RETURN new; END $$;
            CREATE TRIGGER users_log AFTER UPDATE ON users
                FOR EACH ROW EXECUTE FUNCTION log_score();
            CREATE TABLE guarded (owner text);
            INSERT INTO guarded VALUES ('me');
            ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON guarded USING (owner = current_user);
            CREATE TABLE ruled (a integer);
            CREATE RULE no_delete AS ON DELETE TO ruled DO INSTEAD NOTHING;
            INSERT INTO ruled VALUES (1);
            CREATE UNLOGGED TABLE unlogged (a integer);
        """,
        more_statements=(
            "TRUNCATE users",
            "TRUNCATE roles, users RESTART IDENTITY",
            "TRUNCATE parts, parent, ruled",
            "TRUNCATE roles CASCADE",
            "SELECT nextval('free_sequence')",
            "SELECT setval('roles_id_seq', 50)",
            "SELECT setval('free_sequence', 7, false)",
            "ALTER SEQUENCE free_sequence RESTART WITH 5",
            "ALTER SEQUENCE users_id_seq INCREMENT BY 3",
            "INSERT INTO always (note) VALUES ('three')",
            "INSERT INTO always OVERRIDING SYSTEM VALUE VALUES (1, 'again')",
            'DELETE FROM "other Schema".things',
            'UPDATE "other Schema".things SET n = n + 1',
            "INSERT INTO parts VALUES (3, '2020-06-06')",
            "UPDATE parts SET at = '2020-02-02'",
            "DELETE FROM parts_rest",
            "UPDATE parent SET a = 7",
            "INSERT INTO parent VALUES (5)",
            "DELETE FROM ONLY parent",
            "REFRESH MATERIALIZED VIEW summary",
            "INSERT INTO ruled VALUES (2)",
            "UPDATE guarded SET owner = 'you'",
            "INSERT INTO unlogged VALUES (1)",
            "INSERT INTO later VALUES (1, 2)",
            "INSERT INTO later VALUES (2, 1)",
            "SET CONSTRAINTS ALL IMMEDIATE",
            "SELECT lo_create(0)",
            "SELECT lo_from_bytea(4711, 'x')",
            "SELECT pg_advisory_lock(7)",
            "SELECT pg_advisory_xact_lock(8)",
            "CREATE TEMP TABLE shadow AS SELECT * FROM users",
            "SET session_replication_role = replica",
            "SET search_path = 'other Schema'",
            "SET default_transaction_read_only = on",
            "LISTEN something",
            "NOTIFY something",
            "COMMENT ON TABLE users IS 'a comment'",
            "GRANT SELECT ON users TO PUBLIC",
            "ALTER TYPE mood ADD VALUE IF NOT EXISTS 'so so'",
            "ALTER TABLE users DISABLE TRIGGER ALL",
            "ALTER TABLE users DISABLE TRIGGER USER",
            "ALTER TABLE guarded FORCE ROW LEVEL SECURITY",
            "ALTER TABLE parts DETACH PARTITION parts_rest",
            "CREATE TABLE parts_2022 PARTITION OF parts "
            "FOR VALUES FROM ('2022-01-01') TO ('2023-01-01')",
            "CREATE SCHEMA extra",
            "CREATE SEQUENCE extra_sequence",
            "CREATE FUNCTION two() RETURNS integer LANGUAGE sql AS 'SELECT 2'",
            "CREATE OR REPLACE FUNCTION log_score() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN RETURN new; END'",
            "DROP TRIGGER users_log ON users",
            "DROP MATERIALIZED VIEW summary",
            'DROP SCHEMA "other Schema" CASCADE',
            "ALTER TABLE pairs RENAME TO couples",
            "ANALYZE",
            "CLUSTER users USING users_by_name",
            "LOCK TABLE users",
        ),
    ),
    with_flavour(_MYSQL),
)


def quiet(message: str) -> None:
    """Progress that nobody wants to see."""


def build(engine: Engine, product: Product, template: str) -> str:
    """Build and publish a template with the product's schema and seed."""
    with engine.build_lock(template):
        if not engine.has_template(template):
            address = engine.begin_build(template)
            engine.run_script(address, product.schema)
            engine.run_script(address, product.seed)
            engine.publish(template, "main", template)
    return template


def new_template_name() -> str:
    """A name that no other test uses."""
    return naming.template_name("main", uuid.uuid4().hex)


def execute(connection: Any, sql: str) -> Any:
    """Run a statement; its cursor. PyMySQL's connections cannot do it themselves."""
    if type(connection).__module__.startswith("pymysql"):
        sql = sql.replace("DROP INDEX users_by_name", "DROP INDEX users_by_name ON users")
    cursor = connection.cursor()
    cursor.execute(sql)
    return cursor


class Client:
    """The application: connections to the slot, and SQL run on them."""

    def __init__(self, engine: Engine, slot: Slot) -> None:
        self._engine = engine
        self._slot = slot
        self.opened: list[Any] = []

    def connect(self) -> Any:
        """A connection that is closed after the test, if it is still open."""
        self.opened.append(self._engine.connect(self._slot.address))
        return self.opened[-1]

    def commit(self, *statements: str) -> None:
        """Run statements in a transaction of a connection of its own."""
        with closing(self._engine.connect(self._slot.address)) as connection:
            for statement in statements:
                execute(connection, statement)
            connection.commit()

    def roll_back(self, *statements: str) -> None:
        """Run statements in a transaction that is rolled back."""
        with closing(self._engine.connect(self._slot.address)) as connection:
            for statement in statements:
                execute(connection, statement)
            connection.rollback()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query, on a connection of its own."""
        with closing(self._engine.connect(self._slot.address)) as connection:
            return [tuple(row) for row in execute(connection, query).fetchall()]

    def count(self, table: str) -> int:
        """How many rows a table has."""
        (number,) = self.rows(f"SELECT count(*) FROM {table}")[0]
        return int(number)


@pytest.fixture(params=PRODUCTS, ids=lambda product: product.label, scope="session")
def product(request: pytest.FixtureRequest) -> Product:
    """Each engine in turn."""
    found: Product = request.param
    if found.settings.engine != "sqlite":
        request.getfixturevalue(f"require_{found.settings.engine}")
    return found


@pytest.fixture(scope="session")
def owner() -> Owner:
    """Who owns the slots of this process."""
    return Owner(testrun_uid=uuid.uuid4().hex, worker="main")


@pytest.fixture(scope="session")
def engine(product: Product, shared_cache_dir: Path, owner: Owner) -> Generator[Engine, None, None]:
    """The engine, open for the whole run."""
    found = engines.load("main", product.settings, cache_dir=shared_cache_dir, owner=owner)
    found.open(quiet)
    yield found
    found.close()


@pytest.fixture(scope="session")
def template(engine: Engine, product: Product) -> str:
    """A template with the product's schema and seed."""
    return build(engine, product, new_template_name())


@pytest.fixture(scope="session")
def slot_names(owner: Owner) -> Iterator[str]:
    """Names for slots of this process, no two the same."""
    return names_of_slots(owner)


@pytest.fixture
def slot(engine: Engine, template: str, slot_names: Iterator[str]) -> Generator[Slot, None, None]:
    """A slot made from the template."""
    found = engine.create_slot(next(slot_names), template)
    yield found
    found.close()


@pytest.fixture
def client(engine: Engine, slot: Slot, product: Product) -> Generator[Client, None, None]:
    """The application under test."""
    found = Client(engine, slot)
    yield found
    for connection in found.opened:
        with suppress(product.errors):  # PyMySQL's connections can be closed once
            connection.close()


@pytest.fixture
def make_clean(slot: Slot) -> Callable[[], Cleaning]:
    """Clean the slot as the plugin does: by `clean`, and by `replace` where that cannot."""

    def run() -> Cleaning:
        cleaning = slot.clean()
        if cleaning.cannot is not None:
            slot.replace()
        return cleaning

    return run


@pytest.fixture
def process_arguments(product: Product, shared_cache_dir: Path) -> list[str]:
    """What `other_process.py` needs to open the same engine."""
    return [msgspec.json.encode(product.settings).decode(), str(shared_cache_dir)]
