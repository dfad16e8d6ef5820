"""Which tests are about the cost of a hash, and what a cheap hash stands for."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pytest_slipstream.hashing.cost import Cost, is_about_cost


def asks_for_the_rounds() -> None:
    assert "".startswith("$2b$12$")


def matches_the_whole_hash() -> None:
    assert re.match(r"^\$2b\$12\$.{53}$", "")


def finds_the_rounds() -> None:
    assert "".find("$12$")


def asks_whether_it_is_old() -> None:
    object().needs_update("")


def signs_up() -> None:
    assert "" in "a price, a round of applause"


def test_a_test_about_the_cost_says_so() -> None:
    assert is_about_cost(asks_for_the_rounds)
    assert is_about_cost(asks_whether_it_is_old)
    assert is_about_cost(matches_the_whole_hash)
    assert is_about_cost(finds_the_rounds)
    assert not is_about_cost(signs_up)


def test_where_no_source_can_be_read_it_may_be_about_the_cost() -> None:
    assert is_about_cost(None)
    assert is_about_cost(len)


CHEAP, DEAR = "$argon2id$v=19$m=8,t=1,p=1$salt$sum", "$argon2id$v=19$m=65536,t=3,p=4$salt$sum"
SALT, DEAR_SALT, SUM = "$2b$04$" + 22 * "s", "$2b$12$" + 22 * "s", 31 * "h"
FROM_ELSEWHERE = "$2b$04$" + 22 * "t" + SUM


@pytest.mark.parametrize(
    ("seen", "asked"),
    [
        (CHEAP, DEAR),
        (f"argon2{CHEAP}", f"argon2{DEAR}"),
        (SALT + SUM, DEAR_SALT + SUM),
        (f"bcrypt_sha256${SALT}{SUM}", f"bcrypt_sha256${DEAR_SALT}{SUM}"),
        (FROM_ELSEWHERE, FROM_ELSEWHERE),
    ],
)
def test_a_cheap_hash_stands_for_the_one_that_was_asked_for(seen: str, asked: str) -> None:
    cost = Cost()
    cost.made("argon2-cffi", CHEAP, DEAR)
    cost.made("bcrypt", SALT, DEAR_SALT)

    assert cost.as_asked(seen) == asked
    assert cost.as_asked(seen.encode()) == asked.encode()


@pytest.mark.parametrize("no_hash", [123, None, ["$2b$12$"], {}])
def test_what_is_no_hash_is_left_to_the_library(no_hash: Any) -> None:
    assert Cost().as_asked(no_hash) is no_hash
