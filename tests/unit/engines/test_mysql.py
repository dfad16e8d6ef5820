"""What is decided about MySQL without a server."""

from __future__ import annotations

import pytest

from pytest_slipstream.databases.engines.mysql.blueprint import Column, Table
from pytest_slipstream.databases.engines.mysql.copying import Image
from pytest_slipstream.databases.engines.mysql.leftovers import active, told
from pytest_slipstream.databases.engines.mysql.restoring import obstacle, restored
from pytest_slipstream.databases.engines.mysql.script import split
from pytest_slipstream.databases.engines.mysql.sessions import literal, quoted
from pytest_slipstream.databases.engines.protocol import ScriptError

MONITOR = """
------------
TRANSACTIONS
------------
LIST OF TRANSACTIONS FOR EACH SESSION:
---TRANSACTION 20, ACTIVE 0 sec
1 lock struct(s), heap size 1128, 0 row lock(s)
MariaDB thread id 9, OS thread handle 139794879784640, query id 50 localhost slipstream
---TRANSACTION (0x7f248913c780), not started
0 lock struct(s), heap size 1128, 0 row lock(s)
---TRANSACTION 421799, ACTIVE (PREPARED) 3 sec
---TRANSACTION (0x7f248913bc80), ACTIVE 0 sec
0 lock struct(s), heap size 1128, 0 row lock(s)
MySQL thread id 7, OS thread handle 139794880399040, query id 47 localhost slipstream
Trx read view will not see trx with id >= 19, sees < 19
--------
FILE I/O
--------
"""


def test_open_transactions_in_the_monitor():
    assert active(MONITOR) == {9: "20", 7: "(0x7f248913bc80)"}
    assert active("nothing") == {}


def test_open_transactions_among_events():
    assert told(("events", "", "9 20,7 3")) == {9: "20", 7: "3"}
    assert told(("events", "", None)) == {}
    assert told(("InnoDB", "", MONITOR)) == active(MONITOR)


@pytest.mark.parametrize(
    ("script", "statements"),
    [
        ("", []),
        (" ; ;\n", []),
        ("SELECT 1; SELECT ';'", [("SELECT 1", 1), ("SELECT ';'", 1)]),
        ("-- no;\n# no;\n/* no; */ SELECT 1;", [("SELECT 1", 3)]),
        ("SELECT 1--1;", [("SELECT 1--1", 1)]),
        (
            "SELECT 'it''s \\'; fine', `a;b`, \"x;\";",
            [("SELECT 'it''s \\'; fine', `a;b`, \"x;\"", 1)],
        ),
        ("/*!40101 SET NAMES utf8 */;", [("/*!40101 SET NAMES utf8 */", 1)]),
        (
            "DELIMITER //\nCREATE PROCEDURE p() BEGIN SELECT 1; END//\ndelimiter ;\nSELECT 2;",
            [("CREATE PROCEDURE p() BEGIN SELECT 1; END", 2), ("SELECT 2", 4)],
        ),
        ("UPDATE used SET a = 1;", [("UPDATE used SET a = 1", 1)]),
    ],
)
def test_scripts_are_split_as_the_client_does(script, statements):
    assert [(one.text, one.line) for one in split(script)] == statements


@pytest.mark.parametrize("script", ["SELECT 'open", "/* open", "use other;", "\\. file.sql"])
def test_scripts_that_are_refused(script):
    with pytest.raises(ScriptError):
        list(split(script))


def table(**changes):
    known = {
        "name": "t",
        "kind": "table",
        "engine": "InnoDB",
        "create": "CREATE TABLE `t` (\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
        "columns": (Column("id", "int"), Column("name", "varchar")),
        "key": ("id",),
    }
    return Table(**(known | changes))


def test_an_empty_image_is_an_empty_table():
    assert restored(table(), "slot", Image(None, 0), (), moved=False) == ["DELETE FROM `slot`.`t`"]


def test_a_number_that_moved_goes_back():
    *_, last = restored(table(), "slot", Image(None, 4), (), moved=True)
    assert last == "ALTER TABLE `slot`.`t` AUTO_INCREMENT = 4"


def test_rows_with_a_key_are_compared_and_others_written_anew():
    with_key = restored(table(), "slot", Image("template", 0), (), moved=False)
    assert with_key[0].startswith("DELETE s FROM `slot`.`t` s LEFT JOIN `template`.`t` i")
    without = restored(table(key=()), "slot", Image("template", 0), (), moved=False)
    assert without[0] == "DELETE FROM `slot`.`t`"


def test_tables_without_transactions_are_truncated():
    first, *_ = restored(table(engine="MyISAM"), "slot", Image("template", 0), (), moved=False)
    assert first == "TRUNCATE TABLE `slot`.`t`"


def test_versioned_tables_are_an_obstacle():
    assert obstacle(table()) is None
    assert "system versioning" in obstacle(table(kind="versioned"))


def test_a_position_is_a_table_option():
    assert "ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT" in table().created(7)
    assert table().created(0) == table().create


def test_names_and_texts_are_quoted():
    assert quoted("a`b", "c") == "`a``b`.`c`"
    assert literal("it's \\") == "'it\\'s \\\\'"
