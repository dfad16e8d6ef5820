"""What a worker does: pull tests, run pytest's own protocol for each, say how it ended.

The invariant: pytest is told the test that really comes next, so that a wider fixture lasts as long
as its tests need it. So the next atom is asked for where that must be known: at the teardown of the
last test at hand, and not before it has run.
"""

from __future__ import annotations

import contextlib
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from pytest_slipstream.running.pytest_internals import HookExecution, hook_execution
from pytest_slipstream.running.workers.channel import Channel
from pytest_slipstream.running.workers.messages import Ended
from pytest_slipstream.running.workers.telling import Telling

RunTests = Callable[["Pulling"], None]
_AS_IT_IS = contextlib.nullcontext()


class Pulling:
    """The tests that a worker has pulled and not begun; also a `Source` for the run loop.

    Args:
        items: All collected tests.
        channel: To the parent.
    """

    def __init__(self, items: Sequence[pytest.Item], channel: Channel) -> None:
        self._items = items
        self._channel = channel
        self._at_hand: deque[pytest.Item] = deque()

    def take(self) -> Sequence[pytest.Item]:
        """The next atom; an empty one when there are no more."""
        return [self._items[position] for position in self._channel.take()]

    def next(self) -> pytest.Item | None:
        """The test to run next, which stays at hand."""
        if self._channel.stopped():
            return None
        if not self._at_hand:
            self._at_hand.extend(self.take())
        return self._at_hand[0] if self._at_hand else None

    def known_next(self) -> pytest.Item | None:
        """The same where it is known without asking."""
        return self._at_hand[0] if self._at_hand else None

    def pop(self) -> pytest.Item:
        """Take out the test to run next."""
        return self._at_hand.popleft()


def one_after_the_other(session: pytest.Session) -> RunTests:
    """Runs tests as pytest's own loop does."""

    def run(pulling: Pulling) -> None:
        knowing_next = _knowing_next(pulling)
        while (item := pulling.next()) is not None:
            pulling.pop()
            nextitem = pulling.known_next()
            with _AS_IT_IS if nextitem else hook_execution(session.config, knowing_next):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=nextitem)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)

    return run


def work(session: pytest.Session, channel: Channel, run_tests: RunTests, *, at_once: bool) -> Ended:
    """Run tests until the parent has none left.

    Args:
        session: pytest's, with all collected tests.
        channel: To the parent.
        run_tests: Runs what it is given.
        at_once: As for `Telling`.

    Returns:
        How it ended, which is for the parent to know once all is torn down.
    """
    pulling = Pulling(session.items, channel)
    positions = {item: position for position, item in enumerate(session.items)}
    telling = Telling(session.config, positions, channel, at_once=at_once)
    with hook_execution(session.config, telling.telling):
        ended = _ended(session, lambda: run_tests(pulling))
        torn_down = _ended(session, lambda: session._setupstate.teardown_exact(None))
        telling.flush()
    return ended if ended.how != "done" else torn_down


def _ended(session: pytest.Session, run: Callable[[], None]) -> Ended:
    try:
        run()
    except session.Failed as error:
        return Ended("failed", str(error))
    except session.Interrupted as error:  # which is a KeyboardInterrupt
        return Ended("stopped", str(error))
    except KeyboardInterrupt:
        return Ended("interrupted")
    except pytest.exit.Exception as error:
        return Ended("exit", str(error.msg), error.returncode)
    except BaseException:  # noqa: BLE001 - pytest's own error, or a plugin's: the parent raises it
        return Ended("error", traceback.format_exc())
    return Ended("done")


def _knowing_next(pulling: Pulling) -> Callable[[HookExecution], HookExecution]:
    def wrap(execute: HookExecution) -> HookExecution:
        def called(
            hook_name: str,
            methods: Sequence[Any],
            kwargs: Mapping[str, object],
            firstresult: bool,
        ) -> Any:
            __tracebackhide__ = True
            if hook_name == "pytest_runtest_teardown" and kwargs["nextitem"] is None:
                kwargs = {**kwargs, "nextitem": pulling.next()}
            return execute(hook_name, methods, kwargs, firstresult)

        return called

    return wrap
