"""Several connections' transactions on one: the server holds what each asked for, at every step.

The model is written without any knowledge of segments: every connection has its own list of
uncommitted writes. The server is a stack of savepoints that refuses what PostgreSQL refuses.
"""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slipstream.databases.routing.transactions import Texts, Transactions
from pytest_slipstream.databases.routing.uncontained import Uncontained

MEMBERS = "ABC"


class Server:
    """One transaction with savepoints; ``aborts`` as PostgreSQL does after an error."""

    def __init__(self, *, aborts: bool) -> None:
        self.aborts = aborts
        self.aborted = False
        self.rows: list[int] = []
        self._savepoints: list[tuple[str, int]] = []

    def run(self, texts: Texts) -> None:
        for text in texts:
            verb, name = re.fullmatch(r"(.+) (\w+)", text).groups()  # type: ignore[union-attr]
            if verb == "ROLLBACK TO SAVEPOINT":
                index = self._index(name)
                del self._savepoints[index + 1 :]
                del self.rows[self._savepoints[index][1] :]
                self.aborted = False
                continue
            assert not self.aborted, f"{text} in an aborted transaction"
            if verb == "SAVEPOINT":
                self._savepoints.append((name, len(self.rows)))
            else:
                assert verb == "RELEASE SAVEPOINT"
                del self._savepoints[self._index(name) :]

    def _index(self, name: str) -> int:
        return max(i for i, (each, _) in enumerate(self._savepoints) if each == name)

    def write(self, row: int) -> None:
        assert not self.aborted
        self.rows.append(row)

    def fail(self) -> None:
        self.aborted = self.aborts


@dataclasses.dataclass
class Connection:
    """What one connection has written and not committed; its savepoints; whether it failed."""

    open: bool = False
    failed: bool = False
    rows: list[int] = dataclasses.field(default_factory=list)
    savepoints: list[tuple[str, int]] = dataclasses.field(default_factory=list)

    def end(self) -> None:
        self.open = self.failed = False
        self.rows.clear()
        self.savepoints.clear()


class Program:
    """Runs operations on both sides."""

    def __init__(self, *, guarded: bool) -> None:
        self.server = Server(aborts=guarded)
        self.transactions = Transactions(guarded=guarded)
        self.connections = {name: Connection() for name in MEMBERS}
        self.committed: list[int] = []
        self._row = 0

    def do(self, who: str, operation: str) -> None:
        connection = self.connections[who]
        getattr(self, f"_{operation}")(who, connection)
        self._check()

    def _check(self) -> None:
        doomed = [row for each in self.connections.values() if each.failed for row in each.rows]
        pending = [row for each in self.connections.values() for row in each.rows]
        there = set(self.server.rows)
        assert there <= {*self.committed, *pending}
        assert there >= {*self.committed, *pending} - set(doomed)
        for name, each in self.connections.items():
            assert self.transactions.is_open(name) == each.open

    def _texts(self, operation: str, who: str, *args: str) -> None:
        aborted = self.server.aborted
        self.server.run(getattr(self.transactions, operation)(who, *args, aborted=aborted))

    def _begin(self, who: str, connection: Connection) -> None:
        if not connection.open:
            self._texts("begin", who)
            connection.open = True

    def _read(self, who: str, connection: Connection) -> None:
        if connection.failed:
            return  # the server refuses it, as it would on its own
        aborted = self.server.aborted
        self.server.run(self.transactions.statement(who, writes=False, aborted=aborted))
        assert not self.server.aborted

    def _write(self, who: str, connection: Connection) -> None:
        if connection.failed:
            return
        aborted = self.server.aborted
        self.server.run(self.transactions.statement(who, writes=True, aborted=aborted))
        self._row += 1
        self.server.write(self._row)
        (connection.rows if connection.open else self.committed).append(self._row)

    def _fail(self, who: str, connection: Connection) -> None:
        if connection.failed:
            return
        aborted = self.server.aborted
        self.server.run(self.transactions.statement(who, writes=True, aborted=aborted))
        self.server.fail()
        if connection.open and self.server.aborts:
            connection.failed = True

    def _commit(self, who: str, connection: Connection) -> None:
        self._texts("commit", who)
        if not connection.failed:
            self.committed += connection.rows
        connection.end()

    def _rollback(self, who: str, connection: Connection) -> None:
        self._texts("rollback", who)
        connection.end()

    def _savepoint(self, who: str, connection: Connection) -> None:
        if connection.open and not connection.failed:
            name = f"s{len(connection.savepoints)}"
            self._texts("savepoint", who, name)
            connection.savepoints.append((name, len(connection.rows)))

    def _release(self, who: str, connection: Connection) -> None:
        if connection.savepoints and not connection.failed:
            self._texts("release", who, connection.savepoints.pop()[0])

    def _rollback_to(self, who: str, connection: Connection) -> None:
        if connection.savepoints:
            name, height = connection.savepoints[-1]
            self._texts("rollback_to", who, name)
            del connection.rows[height:]
            connection.failed = False


OPERATIONS = (
    "begin",
    "begin",
    "read",
    "write",
    "write",
    "fail",
    "commit",
    "commit",
    "rollback",
    "savepoint",
    "release",
    "rollback_to",
)
steps = st.lists(st.tuples(st.sampled_from(MEMBERS), st.sampled_from(OPERATIONS)), max_size=25)


@pytest.mark.parametrize("guarded", [True, False])
def test_the_server_holds_what_each_connection_asked_for(guarded: bool) -> None:
    @given(steps)
    def check(program: list[tuple[str, str]]) -> None:
        running = Program(guarded=guarded)
        for who, operation in program:
            before = list(running.server.rows)
            try:
                running.do(who, operation)
            except Uncontained:
                assert running.server.rows == before
                return

    check()


@pytest.mark.parametrize("guarded", [True, False])
def test_one_connection_alone_is_always_contained(guarded: bool) -> None:
    @given(st.lists(st.sampled_from(OPERATIONS), max_size=25))
    def check(program: list[str]) -> None:
        running = Program(guarded=guarded)
        for operation in program:
            running.do("A", operation)
        running.do("A", "rollback")
        assert running.server.rows == running.committed

    check()


def run(*program: str, guarded: bool = True) -> Program:
    running = Program(guarded=guarded)
    for step in program:
        who, operation = step.split()
        running.do(who, operation)
    return running


def test_a_connection_that_only_read_rolls_back_under_anothers_commit() -> None:
    running = run("A begin", "A read", "B begin", "B write", "B commit", "A read", "A rollback")
    assert running.server.rows == running.committed == [1]


def test_a_commit_under_an_open_transaction_waits_for_it() -> None:
    running = run("A begin", "A write", "B begin", "B write", "A commit", "B rollback")
    assert running.server.rows == [1]


def test_a_rollback_that_would_take_anothers_commit_along_is_refused() -> None:
    running = run("A begin", "A write", "B begin", "B write", "B commit")
    with pytest.raises(Uncontained, match="another connection has written since"):
        running.do("A", "rollback")


def test_an_error_of_one_connection_is_kept_from_another() -> None:
    running = run("A begin", "A fail", "B write", "B read", "A rollback", "A begin", "A write")
    running.do("A", "commit")
    assert running.server.rows == [1, 2]


def test_a_failed_transaction_that_goes_on_is_refused() -> None:
    running = run("A begin", "A fail", "B read")
    with pytest.raises(Uncontained, match="in which a statement has failed"):
        running.transactions.statement("A", writes=False)


def test_without_guards_a_statement_outside_of_transactions_costs_nothing() -> None:
    transactions = Transactions(guarded=False)
    assert transactions.statement("A", writes=True) == ()
    assert Transactions(guarded=True).statement("A", writes=False) == ("SAVEPOINT slipstream_1",)


def test_a_guard_is_released_with_the_next_operation() -> None:
    transactions = Transactions(guarded=True)
    transactions.statement("A", writes=True)
    assert transactions.statement("A", writes=True) == (
        "RELEASE SAVEPOINT slipstream_1",
        "SAVEPOINT slipstream_1",
    )


def test_a_savepoint_outside_of_a_transaction_begins_one_and_its_release_commits() -> None:
    transactions = Transactions(guarded=False)
    assert transactions.savepoint("A", "x") == ("SAVEPOINT slipstream_1",)
    assert transactions.is_open("A")
    assert transactions.release("A", "x") == ()
    assert not transactions.is_open("A")
    assert transactions.pay() == ("RELEASE SAVEPOINT slipstream_1",)


def test_what_is_owed_goes_with_what_is_sent_next() -> None:
    transactions = Transactions(guarded=True)
    transactions.owe(("BEGIN",))
    assert transactions.begin("A") == ("BEGIN", "SAVEPOINT slipstream_1")
    assert transactions.commit("A") == ()
    assert transactions.begin("B") == (
        "RELEASE SAVEPOINT slipstream_1",
        "SAVEPOINT slipstream_1",
    )


def test_an_unknown_savepoint_is_left_to_the_server() -> None:
    transactions = Transactions(guarded=True)
    transactions.begin("A")
    assert transactions.release("A", "x") == ("RELEASE SAVEPOINT x",)
    assert transactions.rollback_to("A", "x") == ("ROLLBACK TO SAVEPOINT x",)
