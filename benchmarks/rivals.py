"""How pytest-xdist hands tests out, in as many words as a simulation needs.

Each rival is what `simulate` asks for a worker's next tests. Sending costs nothing here, and
collecting and starting neither, so that only the decisions are compared.
"""

from __future__ import annotations

from collections import deque

from pytest_slipstream.scheduling.simulation import Take
from pytest_slipstream.scheduling.suite import Suite


def load(suite: Suite, workers: int) -> Take:
    """``--dist load``: a few tests at once in the order of collection, and more before they end."""
    waiting = deque(range(len(suite.tests)))
    queues: list[deque[int]] = [deque() for _ in range(workers)]

    def send(worker: int, count: int) -> None:
        queues[worker].extend(waiting.popleft() for _ in range(min(count, len(waiting))))

    for worker in range(workers):
        send(worker, max(2, len(suite.tests) // (4 * workers)))

    def take(worker: int) -> tuple[int, ...] | None:
        if len(queues[worker]) < max(2, len(waiting) // workers // 4):
            send(worker, max(2, len(waiting) // workers // 2) - len(queues[worker]))
        return (queues[worker].popleft(),) if queues[worker] else None

    return take


def worksteal(suite: Suite, workers: int) -> Take:
    """``--dist worksteal``: equal parts at first; who has nothing left takes half of the most."""
    count = len(suite.tests)
    bounds = [count * n // workers for n in range(workers + 1)]
    queues = [deque(range(bounds[n], bounds[n + 1])) for n in range(workers)]

    def take(worker: int) -> tuple[int, ...] | None:
        if not queues[worker]:
            fullest = max(queues, key=len)
            stolen = [fullest.pop() for _ in range(max(0, len(fullest) - 1) // 2)]
            queues[worker].extend(reversed(stolen))
        return (queues[worker].popleft(),) if queues[worker] else None

    return take


def loadscope(suite: Suite, workers: int) -> Take:
    """``--dist loadscope``: whole modules, those with most tests first."""
    scopes: dict[str, list[int]] = {}
    for position, test in enumerate(suite.tests):
        scopes.setdefault(test.node_id.partition("::")[0], []).append(position)
    waiting = deque(sorted(scopes.values(), key=len, reverse=True))
    return lambda worker: waiting.popleft() if waiting else None


RIVALS = {"load": load, "worksteal": worksteal, "loadscope": loadscope}
