"""A machine's network, which can be cut and joined again: nothing passes while it is cut.

Where root may make network namespaces, the machine is in one of its own, joined by a pair of
virtual devices: what is sent meanwhile is lost without a word, as when a cable is pulled. Elsewhere
a relay takes its place, which ends connections and refuses new ones.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from relay import Relay

_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Network:
    """How a machine reaches the server.

    Args:
        kind: What stands for the network.
        command: Runs what follows it within the network.
        host: Where the server is, seen from there.
        port: The same; None if it is the server's own.
        cut: Lets nothing pass.
        rejoin: Lets everything pass again.
    """

    kind: str
    command: Sequence[str]
    host: str
    port: int | None
    cut: Callable[[], object]
    rejoin: Callable[[], object]


@contextlib.contextmanager
def namespace() -> Generator[Network, None, None]:
    """A network namespace, from which this machine can be reached at the network's host.

    Raises:
        OSError: There is no command ``ip`` (Debian: iproute2).
        subprocess.CalledProcessError: It may not be.
    """
    name = f"ss{os.getpid()}n{next(_NUMBERS)}"
    outer, inner = f"{name}a", f"{name}b"
    net = f"198.18.{os.getpid() % 250}"  # of the range that is set aside for tests of networks
    _ip("netns", "add", name)
    try:
        _ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", name)
        _ip("address", "add", f"{net}.1/30", "dev", outer)
        _ip("link", "set", outer, "up")
        _ip("-n", name, "address", "add", f"{net}.2/30", "dev", inner)
        _ip("-n", name, "link", "set", inner, "up")
        yield Network(
            kind="a network namespace",
            command=("ip", "netns", "exec", name),
            host=f"{net}.1",
            port=None,
            cut=lambda: _ip("-n", name, "link", "set", inner, "down"),
            rejoin=lambda: _ip("-n", name, "link", "set", inner, "up"),
        )
    finally:
        _ip("netns", "delete", name)


@contextlib.contextmanager
def relayed(port: int) -> Generator[Network, None, None]:
    """The same by a relay."""
    with Relay(port) as relay:
        yield Network("a relay", (), "127.0.0.1", relay.port, relay.cut, relay.rejoin)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
