"""What a worker and its parent tell each other, and how that becomes bytes.

The invariant: messages are made of plain values. Reading one imports nothing and runs no code of
the project's, so the parent stays clean; what a report carries beyond plain values becomes text.
"""

from __future__ import annotations

import marshal
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

How = Literal["done", "failed", "stopped", "exit", "interrupted", "error"]


class Collected(msgspec.Struct, frozen=True):
    """A spawned worker has collected these node ids."""

    node_ids: list[str]


class Started(msgspec.Struct, frozen=True):
    """The test at this position has begun."""

    position: int


class Ran(msgspec.Struct, frozen=True):
    """A test is over: the hook calls that report it, each with its name and plain arguments."""

    node_id: str
    calls: list[tuple[str, Any]]
    failed: bool = False


class Wanted(msgspec.Struct, frozen=True):
    """The worker needs tests; `Work` is the answer."""


class Ended(msgspec.Struct, frozen=True):
    """The worker's last message: it has torn down all fixtures.

    Args:
        how: ``failed`` and ``stopped`` as pytest's ``shouldfail`` and ``shouldstop``, ``exit`` for
            `pytest.exit`, ``error`` for an error of pytest or a plugin.
        text: The reason, or the traceback.
        code: The exit code that `pytest.exit` was given.
    """

    how: How
    text: str = ""
    code: int | None = None


class Work(msgspec.Struct, frozen=True):
    """Run the tests at these positions; none when there are no more."""

    positions: tuple[int, ...]


class Proceed(msgspec.Struct, frozen=True):
    """The answer to a failed test where ``--maxfail`` counts: go on."""


class Stop(msgspec.Struct, frozen=True):
    """Begin no further test."""


class Begin(msgspec.Struct, frozen=True):
    """The first message to a spawned worker: pytest's arguments, and what it is told."""

    arguments: list[str]
    path: list[str]
    worker_input: dict[str, Any]


ToParent = Collected | Started | Ran | Wanted | Ended
ToWorker = Work | Proceed | Stop | Begin
_KINDS: Mapping[str, type[Any]] = {
    kind.__name__: kind
    for kind in (Collected, Started, Ran, Wanted, Ended, Work, Proceed, Stop, Begin)
}


def encode(messages: Sequence[ToParent | ToWorker], number: int = 0) -> bytes:
    """The bytes of messages that are sent together.

    Args:
        messages: Of one sender.
        number: Which row of messages it is, where they go more than one way.
    """
    told = [(type(message).__name__, *msgspec.structs.astuple(message)) for message in messages]
    values = (number, told)
    try:
        return marshal.dumps(values)
    except ValueError:  # something in it is not a plain value
        return marshal.dumps(plain(values))


def decode(data: bytes) -> tuple[int, list[Any]]:
    """The number and the messages that `encode` was given.

    They are `ToParent` or `ToWorker`, as the reader knows.
    """
    number, told = marshal.loads(data)
    return number, [_KINDS[name](*values) for name, *values in told]


_DEEPEST = 200
ALREADY_PLAIN = frozenset((type(None), bool, int, float, str, bytes))
"""Types of values that contain no others and arrive as they are."""


def plain(value: Any) -> Any:
    """The same of plain values; what is none becomes text.

    To be asked of all that the project or a plugin may have made: `marshal` takes a number of
    NumPy's for bytes, and says nothing.
    """
    return _plain(value, {}, 0)


def _plain(value: Any, known: dict[int, Any], depth: int) -> Any:
    if type(value) in ALREADY_PLAIN:
        return value
    if isinstance(value, dict | list | tuple) and depth < _DEEPEST:
        if id(value) not in known:
            known[id(value)] = "..."  # where it contains itself
            known[id(value)] = _contents(value, known, depth + 1)
        return known[id(value)]
    try:
        for kind in (str, int, float):
            if isinstance(value, kind):  # an enumeration's member, say
                return kind(value)
        return str(value)
    except Exception as error:  # noqa: BLE001 - the project's own code, and the report must arrive
        return f"<{type(value).__name__}, whose text cannot be had: {type(error).__name__}>"


def _contents(value: Any, known: dict[int, Any], depth: int) -> Any:
    if isinstance(value, dict):
        items = value.items()
        return {_plain(k, known, depth): _plain(v, known, depth) for k, v in items}
    kept = [_plain(one, known, depth) for one in value]
    return tuple(kept) if isinstance(value, tuple) else kept
