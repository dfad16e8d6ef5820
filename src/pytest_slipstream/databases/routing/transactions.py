"""The transactions of several application connections on one physical connection.

Pure: an operation of the application goes in, SQL texts come out. An application's transaction is
a savepoint of the physical connection's own transaction, or several: whenever another connection
speaks, a new *segment* (a savepoint) begins, so that what was written in a segment was written by
one connection alone. The invariant: what the texts do to each connection's work is exactly what the
application asked for; where no text does that, the operation is refused by `Uncontained` and
nothing has changed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable

from pytest_slipstream.databases.routing.uncontained import Uncontained

Member = Hashable
"""An application's connection; only its identity counts."""

Texts = tuple[str, ...]


@dataclasses.dataclass
class _Segment:
    """A savepoint.

    ``owner`` is None once its transaction has committed. ``mark`` is the application's own name
    for it. ``foreign`` says that what another connection committed lies in it.
    """

    owner: Member | None
    mark: str | None = None
    guard: bool = False
    wrote: bool = False
    foreign: bool = False


class Transactions:
    """The stack of one physical connection.

    Args:
        guarded: Whether an error ends the server's transaction (PostgreSQL), so that a statement
            outside of an application transaction needs a savepoint of its own.

    ``aborted`` in the operations below: whether such an error has happened and the server now
    refuses everything but a rollback.
    """

    def __init__(self, *, guarded: bool) -> None:
        self._guarded = guarded
        self._segments: list[_Segment] = []
        self._open: set[Member] = set()
        self._opened_by_savepoint: set[Member] = set()
        self._doomed: set[Member] = set()
        self._owed: Texts = ()

    def is_open(self, who: Member) -> bool:
        """Whether a connection is in a transaction, as the application sees it."""
        return who in self._open

    def commits(self, who: Member, name: str) -> bool:
        """Whether to release a savepoint is to commit: it began the transaction (SQLite)."""
        index = self._marked(who, name)
        began = index is not None and who in self._opened_by_savepoint
        return began and index == self._first_of(who)

    @property
    def open(self) -> frozenset[Member]:
        """The connections that are in a transaction."""
        return frozenset(self._open)

    def is_doomed(self, who: Member, *, aborted: bool) -> bool:
        """Whether a connection's transaction has failed, so that it can only be rolled back."""
        return who in self._doomed or (aborted and bool(self._open) and self._top_is_of(who))

    def clear(self) -> None:
        """The physical transaction is over."""
        self._owed = ()
        self._segments.clear()
        for members in (self._open, self._opened_by_savepoint, self._doomed):
            members.clear()

    def owe(self, texts: Texts) -> None:
        """Have these sent with what must be sent next: a round trip less."""
        self._owed += texts

    def pay(self) -> Texts:
        """What is owed, if it is to be sent now."""
        owed, self._owed = self._owed, ()
        return owed

    def begin(self, who: Member, *, aborted: bool = False) -> Texts:
        """The application begins a transaction; without effect when it is in one."""
        texts = self._settle(who, aborted)
        if who in self._open:
            return texts
        self._open.add(who)
        return texts + self._push(_Segment(who))

    def statement(self, who: Member, *, writes: bool, aborted: bool = False) -> Texts:
        """What must be sent before a statement of the application."""
        if who in self._doomed:
            raise Uncontained(
                "it goes on in a transaction in which a statement has failed, after another "
                "connection was used"
            )
        texts = self._settle(who, aborted)
        if who in self._open:
            texts += self._on_top(who)
            self._segments[-1].wrote |= writes
        elif self._guarded:
            texts += self._push(_Segment(who, guard=True, wrote=writes))
        elif writes and self._segments:
            self._segments[-1].foreign = True
        return texts

    def commit(self, who: Member, *, aborted: bool = False) -> Texts:
        """The application commits; without effect outside of a transaction.

        That it is released is owed: the server learns of it with what is sent next.
        """
        if self.is_doomed(who, aborted=aborted):
            return self.rollback(who, aborted=aborted)
        texts = self._settle(who, aborted)
        self._leave(who)
        self.owe(self._release_finished())
        return texts

    def rollback(self, who: Member, *, aborted: bool = False) -> Texts:
        """The application rolls back; without effect outside of a transaction."""
        failed = aborted and who in self._open and self._top_is_of(who)
        lowest = next(
            (
                index
                for index, segment in enumerate(self._segments)
                if segment.owner == who and not segment.guard and (segment.wrote or failed)
            ),
            None,
        )
        if lowest is not None:
            self._check_alone(who, lowest)
        texts = self._settle(who, aborted)
        if lowest is not None and lowest < len(self._segments):
            name = _name(lowest)
            texts += (f"ROLLBACK TO SAVEPOINT {name}", f"RELEASE SAVEPOINT {name}")
            texts += self._cut(who, lowest)
        self._leave(who)
        return texts + self._release_finished()

    def savepoint(self, who: Member, name: str, *, aborted: bool = False) -> Texts:
        """The application's own savepoint; outside of a transaction it begins one (SQLite)."""
        texts = self._settle(who, aborted)
        if who not in self._open:
            self._open.add(who)
            self._opened_by_savepoint.add(who)
        return texts + self._push(_Segment(who, mark=name))

    def release(self, who: Member, name: str, *, aborted: bool = False) -> Texts:
        """The application releases its savepoint, and what it made after it."""
        index = self._marked(who, name)
        if index is None or (aborted and self._top_is_of(who)):
            return (*self._settle(who, aborted), f"RELEASE SAVEPOINT {name}")  # the server refuses
        if self.commits(who, name):
            return self.commit(who)
        texts = self._settle(who, aborted)
        inner = self._segments[index:]
        for segment in inner:
            if segment.owner == who:
                segment.mark = None
        below = self._segments[index - 1] if index else None
        if below is None or any(each.owner != who for each in (below, *inner)):
            return texts  # it stays as a segment, since another connection's lies next to it
        below.wrote |= any(segment.wrote for segment in inner)
        below.foreign |= any(segment.foreign for segment in inner)
        del self._segments[index:]
        return (*texts, f"RELEASE SAVEPOINT {_name(index)}")

    def rollback_to(self, who: Member, name: str, *, aborted: bool = False) -> Texts:
        """The application rolls back to its savepoint, which stays."""
        index = self._marked(who, name)
        if index is None:
            return (*self._settle(who, aborted), f"ROLLBACK TO SAVEPOINT {name}")
        self._check_alone(who, index)
        texts = (*self._settle(who, aborted), f"ROLLBACK TO SAVEPOINT {_name(index)}")
        self._segments[index].wrote = False
        self._doomed.discard(who)
        return texts + self._cut(who, index + 1)

    # The stack

    def _settle(self, who: Member, aborted: bool) -> Texts:
        """Finish a guarded statement; keep one connection's error from another connection."""
        return self.pay() + self._finish(who, aborted)

    def _finish(self, who: Member, aborted: bool) -> Texts:
        if not self._segments:
            return ()
        top = self._segments[-1]
        name = _name(len(self._segments) - 1)
        if top.guard:
            self._segments.pop()
            if aborted:
                return (f"ROLLBACK TO SAVEPOINT {name}", f"RELEASE SAVEPOINT {name}")
            self._sink(top)
            return (f"RELEASE SAVEPOINT {name}",)
        if aborted and top.owner is not None and top.owner != who:
            self._doomed.add(top.owner)
            top.wrote = False
            return (f"ROLLBACK TO SAVEPOINT {name}",)
        return ()

    def _push(self, segment: _Segment) -> Texts:
        self._segments.append(segment)
        return (f"SAVEPOINT {_name(len(self._segments) - 1)}",)

    def _cut(self, who: Member, index: int) -> Texts:
        """The server has forgotten these segments; others' savepoints among them, empty, return."""
        cut = self._segments[index:]
        del self._segments[index:]
        texts: Texts = ()
        for segment in cut:
            if segment.owner not in (who, None) and segment.mark is not None:
                texts += self._push(segment)
        return texts

    def _on_top(self, who: Member) -> Texts:
        top = self._segments[-1] if self._segments else None
        if top is not None and top.owner == who and not top.foreign:
            return ()
        return self._push(_Segment(who))

    def _leave(self, who: Member) -> None:
        for members in (self._open, self._opened_by_savepoint, self._doomed):
            members.discard(who)
        for segment in self._segments:
            if segment.owner == who:
                segment.owner, segment.mark = None, None

    def _release_finished(self) -> Texts:
        """Release the committed segments that nothing lies on."""
        height = len(self._segments)
        while self._segments and self._segments[-1].owner is None:
            self._sink(self._segments.pop())
        if len(self._segments) == height:
            return ()
        return (f"RELEASE SAVEPOINT {_name(len(self._segments))}",)

    def _sink(self, committed: _Segment) -> None:
        """What a segment held lies in the one below it from now on."""
        if self._segments:
            self._segments[-1].foreign |= committed.wrote or committed.foreign

    def _check_alone(self, who: Member, lowest: int) -> None:
        """Refuse to undo segments that hold another connection's work."""
        for segment in self._segments[lowest:]:
            others = segment.owner != who or segment.guard
            if segment.foreign or (others and segment.wrote):
                raise Uncontained(
                    "it rolls back what it wrote, and another connection has written since"
                )

    def _top_is_of(self, who: Member) -> bool:
        top = self._segments[-1] if self._segments else None
        return top is not None and top.owner == who and not top.guard

    def _first_of(self, who: Member) -> int:
        return next(index for index, each in enumerate(self._segments) if each.owner == who)

    def _marked(self, who: Member, name: str) -> int | None:
        for index in range(len(self._segments) - 1, -1, -1):
            segment = self._segments[index]
            if segment.owner == who and segment.mark == name:
                return index
        return None


def _name(index: int) -> str:
    return f"slipstream_{index + 1}"
