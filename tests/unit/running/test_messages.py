"""What crosses from a worker to its parent: plain values as they are, all others as text."""

from __future__ import annotations

import enum
import time
from array import array
from typing import Any

import pytest

from pytest_slipstream.running.workers.messages import plain


class Silent(str):
    """A text that cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no")


class Number(enum.IntEnum):
    """A kind of number."""

    ONE = 1


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        ([1, 2.5, None, True, "a", b"b", ("c",), {"d": []}], None),
        (array("d", [0.5]), "array('d', [0.5])"),
        ([("loss", bytearray(b"x"))], [("loss", "bytearray(b'x')")]),
        ({1: Number.ONE}, {1: 1}),
        (Silent("x"), "<Silent, whose text cannot be had: RuntimeError>"),
    ],
)
def test_what_is_no_plain_value_arrives_as_text(value: Any, arrives: Any) -> None:
    assert plain(value) == (value if arrives is None else arrives)


def test_what_is_shared_is_read_once() -> None:
    value: list[Any] = [object]
    for _ in range(64):
        value = [value, value]
    began = time.process_time()
    assert plain(value)[0] is not None
    assert time.process_time() - began < 30  # and not for ever


def test_what_contains_itself_is_cut() -> None:
    value: list[Any] = [1]
    value += [value, value]
    assert plain(value) == [1, "...", "..."]
