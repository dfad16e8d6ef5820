"""What reporters must be told of synchronous tests, whoever runs them."""

import decimal
import enum
import pathlib
import sys
import unittest
import warnings

import pytest


class Colour(enum.Enum):
    RED = 1


class OwnWarning(UserWarning):
    def __init__(self, first, second="and a second"):
        super().__init__(f"{first} {second}")


@pytest.fixture(scope="session")
def everybody():
    print("set up for everybody")
    yield {}
    print("torn down for everybody")


@pytest.fixture(scope="module", params=["a", "b"])
def wide(request):
    print("wide", request.param)
    yield request.param
    print("wide is over", request.param)


@pytest.fixture
def breaks():
    raise LookupError("in a fixture")


@pytest.fixture
def breaks_late():
    yield
    raise LookupError("in a finalizer")


@pytest.mark.parametrize("n", range(20))
def test_many(n, everybody):
    print("many", n)


def test_with_a_wide_fixture(wide):
    assert wide == "a"


def test_again_with_a_wide_fixture(wide):
    sys.stderr.write(f"to stderr {wide}\n")


def test_set_up_fails(breaks):
    pass


def test_teardown_fails(breaks_late):
    pass


def test_both_fail(breaks_late):
    raise ValueError("in the body")


@pytest.mark.skip(reason="not today")
def test_skipped():
    pass


def test_skips_itself():
    pytest.skip("now")


@pytest.mark.xfail(reason="known", strict=True)
def test_expected():
    assert [1, 2, 3] == [1, 2, 4]


@pytest.mark.xfail(strict=True)
def test_unexpectedly():
    pass


def test_warns():
    warnings.warn("plain", stacklevel=1)
    warnings.warn(OwnWarning("my own"), stacklevel=1)


def test_properties(record_property):
    record_property("plain", 7)
    record_property("path", pathlib.PurePosixPath("/a/b"))
    record_property("decimal", decimal.Decimal("1.50"))
    record_property("enumeration", Colour.RED)


def test_chained():
    try:
        {}["key"]
    except KeyError as error:
        raise RuntimeError("because of it") from error


@pytest.mark.parametrize("text", ["\udc80", "\x00", "ä/ö::[x]", "a b", "\n"])
def test_strange_ids(text):
    print("strange")


def test_much_output():
    print("x" * 20_000_000)


def test_lone_surrogates():
    raise ValueError("\udc80 is no character")


class TestUnit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print("set up the class")

    def test_one(self):
        assert type(self).__name__ == "TestUnit"

    def test_two(self):
        self.fail("it does")
