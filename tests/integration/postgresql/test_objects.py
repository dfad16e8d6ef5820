"""Every kind of object that holds rows is put back exactly, or the slot is made anew."""

from __future__ import annotations

import pytest

from pytest_slipstream.databases.routing.drivers.psycopg_joined import END
from trial_slots import Make

RESET = {
    "identity and generated columns": (
        """create table t (a int generated always as identity, b int generated always as (a * 2)
           stored, c text); insert into t (c) values ('x'), ('y');""",
        "insert into t (c) values ('z'); delete from t where a = 1; update t set c = 'w'",
    ),
    "partitions": (
        """create table p (k int, v text) partition by range (k);
           create table p1 partition of p for values from (0) to (10);
           create table p2 partition of p for values from (10) to (20) partition by list (k);
           create table p21 partition of p2 default;
           insert into p values (1, 'a'), (11, 'b');""",
        "insert into p values (2, 'c'), (12, 'd'); update p set k = 15 where k = 1; "
        "insert into p21 values (13, 'e'); delete from p1",
    ),
    "inheritance": (
        """create table parent (a int); create table child (b int) inherits (parent);
           insert into child values (1, 2); insert into parent values (3);""",
        "update parent set a = a + 1; insert into child values (7, 8)",
    ),
    "several schemas and quoted names": (
        """create schema "Other schema"; create table "Other schema"."T;""t"
           ("c'c" int primary key);
           create table "Other schema".change (n int); insert into "Other schema".change values (1);
           insert into "Other schema"."T;""t" values (1);""",
        """insert into "Other schema"."T;""t" values (2); update "Other schema".change set n = 9""",
    ),
    "columns named as tables and aliases are": (
        """create table t (id int primary key, t text, q text, s text, r text, layer int);
           insert into t select n, '(1,zz,3)', null, 'a', '(', n from generate_series(1, 60) n;
           create table s (t text); insert into s values ('a'), (null);""",
        "update t set t = 'b' where id < 9; delete from t where id > 50; insert into s values ('x')"
        ";update s set t = 'b' where t is null",
    ),
    "rows that are only added to seed rows": (
        """create table t (id int generated always as identity primary key, v text);
           insert into t (v) select 'seed' from generate_series(1, 3);
           create table many (id int primary key); insert into many select generate_series(1, 99);
           create table child (id int references many on delete cascade);
           insert into child values (7);""",
        """insert into t (v) values ('a'); savepoint s; insert into t (v) values ('b');
           rollback to s; insert into t (v) values ('c'); insert into many values (100);
           insert into child values (100)""",
    ),
    "materialized view": (
        """create table t (a int); insert into t values (1);
           create materialized view m as select sum(a) as total from t;""",
        "insert into t values (2); refresh materialized view m",
    ),
    "enum and domain": (
        """create type mood as enum ('sad', 'glad'); create domain positive as int
           check (value > 0);
           create type pair as (x int, y mood);
           create table t (m mood, p positive, r pair, a mood[], d date, f float8, b bytea,
                           j jsonb);
           insert into t values ('sad', 1, (1, 'glad'), '{sad,glad}', '2020-02-29', 0.1 + 0.2,
                                 '\\x00ff', '{"a": [1, null]}');""",
        "update t set m = 'glad'; insert into t (p) values (3)",
    ),
    "deferred constraints": (
        """create table a (id int primary key); create table b (a_id int references a deferrable
           initially deferred, n int unique deferrable initially deferred);
           insert into a values (1); insert into b values (1, 1), (null, 2);""",
        "insert into b values (5, 5); insert into a values (5); update b set n = 3 - n where n < 3",
    ),
    "no primary key, equal rows": (
        "create table t (a int); insert into t values (1), (1), (null), (null);",
        "delete from t where ctid = '(0,1)'; insert into t values (null)",
    ),
    "row security": (
        """create table t (a int); alter table t enable row level security;
           alter table t force row level security; create policy p on t using (a > 5);
           insert into t values (1), (9);""",
        "insert into t values (2), (7); delete from t where a = 9",
    ),
    "user triggers and rules": (
        """create table t (a int primary key); create table log (a int);
           create function f() returns trigger language plpgsql as
           $$ begin insert into log values (new.a); return new; end $$;
           create trigger tr before insert or update on t for each row execute function f();
           create rule r as on delete to t do also (insert into log values (-1); notify x);
           insert into t values (1);""",
        "insert into t values (2); delete from t where a = 1",
    ),
    "cascading foreign keys": (
        """create table a (id int primary key);
           create table b (id int references a on delete cascade on update cascade);
           create table c (id int references a on delete set null);
           insert into a values (1), (2); insert into b values (1); insert into c values (2);""",
        "update a set id = 10 where id = 1; delete from a",
    ),
    "on conflict and merge-like updates": (
        "create table t (k int primary key, v int); insert into t values (1, 1);",
        "insert into t values (1, 2), (2, 2) on conflict (k) do update set v = excluded.v",
    ),
    "truncate": (
        """create table a (id int generated by default as identity primary key);
           create table b (a_id int references a); insert into a default values;
           insert into b values (1);""",
        "truncate a restart identity cascade; insert into a default values",
    ),
    "copy program free": (
        "create table t (a int, b text);",
        "insert into t select i, i::text from generate_series(1, 1000) i",
    ),
    "large seed, difference only": (
        """create table t (id int primary key, v text);
           insert into t select i, 'row ' || i from generate_series(1, 500) i;""",
        "update t set v = 'x' where id % 50 = 0; delete from t where id < 5; "
        "insert into t values (1000, 'new')",
    ),
    "sequences": (
        """create sequence s start 5 increment 3; create sequence never; create table t (a serial);
           select nextval('s');""",
        "select nextval('s'); select setval('never', 77, false)",
    ),
    "sequence restarted": (
        "create table t (a serial); insert into t default values;",
        "alter sequence t_a_seq restart with 50; insert into t default values",
    ),
    "large objects": (
        "select lo_from_bytea(12345678, 'seed'); select lo_from_bytea(12345679, 'other');",
        "select lo_put(12345678, 0, 'SEED'); select lo_unlink(12345679); select lo_create(0)",
    ),
    "unlogged": (
        "create unlogged table t (a int); insert into t values (1);",
        "delete from t",
    ),
    "updatable view": (
        "create table t (a int); create view v as select a from t where a > 0; "
        "insert into t values (1);",
        "insert into v values (2); delete from v where a = 1",
    ),
    "dropped column": (
        """create table t (a int, gone text, b int default 4); insert into t values (1, 'x', 2);
           alter table t drop column gone;""",
        "update t set b = 9",
    ),
}

ESCALATE = {
    "new table": "create table n (a int)",
    "table without columns": "insert into nothing default values",
    "new column": "alter table t add column c int default 3",
    "column type": "alter table t alter column a type bigint",
    "dropped table": "drop table t",
    "dropped schema": "drop schema public cascade; create schema public",
    "dropped type in use by seed rows": "drop table t; drop type mood",
    "index": "create index on t (a)",
    "right": "grant select on t to public",
    "comment": "comment on table t is 'x'",
    "disabled trigger": "alter table t disable trigger all; insert into t values (5)",
    "event trigger": "create function e() returns event_trigger language plpgsql as 'begin end'; "
    "create event trigger e on ddl_command_start execute function e()",
    "default privileges": "alter default privileges grant select on tables to public",
    "trigger enabled always": "insert into always values (1)",
    "cached sequence": "select nextval('cached')",
    "the records themselves": "drop schema _slipstream cascade",
}

_ESCALATE_SCHEMA = """
create type mood as enum ('sad', 'glad');
create table t (a int, m mood); insert into t values (1, 'sad');
create table always (a int);
create function f() returns trigger language plpgsql as 'begin return new; end';
create trigger tr before insert on always for each row execute function f();
alter table always enable always trigger tr;
create sequence cached cache 20;
create table nothing (); insert into nothing default values;
"""


@pytest.mark.parametrize("name", RESET)
def test_is_put_back_in_place(try_schema: Make, name: str) -> None:
    schema, program = RESET[name]
    trial = try_schema(schema)
    for _ in range(3):
        trial.commit(program)
        assert trial.differences()
        trial.reset()


@pytest.mark.parametrize("name", RESET)
def test_rows_of_a_layer_are_put_back(try_schema: Make, name: str) -> None:
    schema, program = RESET[name]
    if name == "materialized view":
        pytest.skip("a layer that refreshes is a layer that changes the schema")
    trial = try_schema(schema)
    template = trial.before
    trial.commit(program)
    assert trial.slot.push_layer()
    trial.before = trial.slot.digest()
    trial.commit("create table escalate ()")
    trial.escalate()
    trial.reset()
    trial.before = template
    assert trial.slot.pop_layer().cannot is None
    assert trial.differences() == set()


@pytest.mark.parametrize("name", ESCALATE)
def test_is_made_anew(try_schema: Make, name: str) -> None:
    trial = try_schema(_ESCALATE_SCHEMA)
    trial.commit(ESCALATE[name])
    trial.escalate()


def test_triggers_that_a_wider_fixture_disabled_do_not_hide_writes(try_schema: Make) -> None:
    trial = try_schema("CREATE TABLE item (id int)")
    trial.commit("ALTER TABLE item DISABLE TRIGGER ALL")
    assert trial.slot.push_layer()
    trial.before = trial.slot.digest()
    trial.commit("INSERT INTO item VALUES (1)")
    assert trial.reset().tables == ("public.item",)


def test_a_rolled_back_insert_leaves_no_gap_in_the_next_test(try_schema: Make) -> None:
    trial = try_schema("create table t (id serial);")
    connection = trial.connect()
    connection.execute("insert into t default values")
    connection.rollback()
    assert trial.slot.touched() == ()
    trial.reset()
    assert connection.execute("insert into t default values returning id").fetchone() == (1,)
    connection.close()


def test_a_commit_among_rollbacks_is_found(try_schema: Make) -> None:
    trial = try_schema("create table t (id serial); create table u (a int);")
    first, second = trial.connect(), trial.connect()
    for committed in ((), ("public.u",)) * 3:
        first.execute("insert into t default values")
        first.execute("savepoint s")
        first.execute("insert into t default values")
        second.execute("insert into u values (1)")
        if committed:
            second.commit()
        else:
            second.rollback()
        first.rollback()
        assert trial.reset().tables == committed


def test_a_commit_of_an_older_transaction_is_found(try_schema: Make) -> None:
    trial = try_schema("create table t (a int); create table u (a int);")
    older, other = trial.connect(), trial.connect()
    older.execute("insert into t values (1)")
    trial.slot.push_layer()
    for _ in range(2):
        other.execute("insert into u values (1)")
        other.rollback()
        assert trial.slot.clean().cannot is None
    older.commit()
    other.execute("insert into u values (1)")
    other.rollback()
    assert trial.reset().tables == ("public.t",)


def test_a_session_keeps_no_lock_by_giving_up_those_it_had(try_schema: Make) -> None:
    trial = try_schema("create table t (a int);")
    connection = trial.connect()
    connection.execute("select pg_advisory_lock(1)")
    connection.pgconn.exec_(END)
    assert trial.reset().leftovers == ()
    connection.execute("select pg_advisory_lock(1)")
    connection.rollback()
    assert [each.kind for each in trial.slot.clean().leftovers] == ["advisory lock"]


def test_a_role_with_few_rights_is_recorded(try_schema: Make) -> None:
    trial = try_schema(
        "do $$ begin create role few_rights; exception when duplicate_object then end $$;"
        "create table t (a int); grant insert, select on t to few_rights;"
        "grant create on schema public to few_rights;"
    )
    trial.commit("set role few_rights; set search_path = public; insert into t values (1)")
    assert trial.slot.touched() == ("public.t",)
    trial.reset()
    trial.commit("set role few_rights; create table public.mine ()")
    trial.escalate()


def test_replica_sessions_and_serializable_transactions_are_recorded(try_schema: Make) -> None:
    trial = try_schema("create table t (a int);")
    trial.commit("set session_replication_role = replica; insert into t values (1)")
    assert trial.reset().tables == ("public.t",)
    first, second = trial.connect(), trial.connect()
    for connection in (first, second):
        connection.execute("set transaction isolation level serializable")
        connection.execute("insert into t values (1)")
    first.commit()
    second.commit()
    assert trial.reset().tables == ("public.t",)
    first.close()
    second.close()


def test_the_settings_of_the_database_reach_the_slot(try_schema: Make) -> None:
    trial = try_schema(
        "do $$ begin execute format('alter database %I set work_mem = ''7MB''', "
        "current_database()); end $$;"
    )
    with trial.connect() as connection:
        assert connection.execute("show work_mem").fetchone() == ("7MB",)
    trial.commit(f"alter database {trial.slot.name} set work_mem = '8MB'")
    trial.escalate()


def test_cost_does_not_grow(try_schema: Make) -> None:
    trial = try_schema("create table t (id serial primary key, v text unique);")
    connection = trial.connect()
    for _ in range(600):
        connection.execute("insert into t (v) select i::text from generate_series(1, 20) i")
        connection.commit()
        assert trial.slot.clean().cannot is None
    (row,) = connection.execute(
        "select pg_total_relation_size('t') + pg_total_relation_size('_slipstream.change')"
    ).fetchall()
    connection.close()
    assert row[0] < 600_000


def test_layers_leave_no_dead_rows_behind(try_schema: Make) -> None:
    trial = try_schema("create table t (id serial primary key, v text);")
    for _ in range(60):
        trial.commit("insert into t (v) select repeat('x', 100) from generate_series(1, 50)")
        assert trial.slot.push_layer() == ("public.t",)
        assert trial.slot.pop_layer().cannot is None
    with trial.connect() as connection:
        (row,) = connection.execute("select pg_relation_size('_slipstream.snapshot')").fetchall()
    assert isinstance(row[0], int)
    assert row[0] < 300_000
    assert trial.differences() == set()
