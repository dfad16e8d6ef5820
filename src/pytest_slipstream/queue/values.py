"""What machines and the queue tell each other, as frozen values."""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["running", "watching", "leaving", "left", "lost"]


class Lease(msgspec.Struct, frozen=True):
    """An atom that this machine holds.

    Args:
        stream: ``atoms``, or ``again`` for a test that failed on other machines.
        entry: Its place there.
        index: The atom's.
        tests: Positions among the collected tests, in order of node ids.
        failed_on: The machines on which it failed, in words.
    """

    stream: str
    entry: str
    index: str
    tests: tuple[int, ...]
    failed_on: str = ""


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What the first machine brings to the queue.

    Args:
        atoms: Positions of tests, in the order in which the atoms are handed out.
        digest: Of what was collected.
        collected: What was collected, for those that differ.
        lease_ms: How long a machine may be silent.
        requeues: How often a test that failed is run again.
        requeue_cap: How often any is.
    """

    atoms: tuple[tuple[int, ...], ...]
    digest: str
    collected: bytes
    lease_ms: int
    requeues: int
    requeue_cap: int


class Acknowledged(msgspec.Struct, frozen=True):
    """What became of an atom that ran here.

    Args:
        first: Whether this machine was the first to say so; if not, its reports are dropped.
        again: The tests that failed and are run again, so that their reports do not count.
    """

    first: bool
    again: frozenset[int] = frozenset()


class Adopted(msgspec.Struct, frozen=True):
    """The reports of a machine that was lost after it acknowledged them."""

    machine: str
    results: tuple[bytes, ...]


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """One machine, as the queue's status shows it.

    Args:
        name: As it calls itself.
        state: What it said last.
        silent_s: Seconds since it was last heard of.
        tests: How many it has reported.
        failed: How many of them failed.
        held: How many atoms it holds.
    """

    name: str
    state: State
    silent_s: float
    tests: int
    failed: int
    held: int


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """A build, as it stands.

    Args:
        atoms: How many there are.
        done: How many were acknowledged.
        tests: How many there are.
        reported: How many were reported.
        failed: How many of them failed.
        requeued: How many were run again.
        flaky: How many of those passed then.
        age_s: Seconds since the first machine arrived.
        lease_s: How long a machine may be silent.
        machines: Those that came.
    """

    atoms: int
    done: int
    tests: int
    reported: int
    failed: int
    requeued: int
    flaky: int
    age_s: float
    lease_s: float
    machines: tuple[Machine, ...]
