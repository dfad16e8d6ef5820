"""The line knows the next test, and tells of each test before it starts."""

from __future__ import annotations

from pytest_slipstream.running.sources import Line


class Atoms:
    """A source of atoms, which notes when it is asked."""

    def __init__(self, *atoms: list[str]) -> None:
        self.atoms = list(atoms)

    def take(self) -> list[str]:
        return self.atoms.pop(0) if self.atoms else []


def test_each_test_knows_its_follower_across_atoms():
    line = Line(Atoms(["a1", "a2"], ["b1"]), lambda item: None)
    assert [line.pop() for _ in range(3)] == [("a1", "a2"), ("a2", "b1"), ("b1", None)]
    assert line.first() is None


def test_no_atom_is_taken_before_it_is_needed():
    source = Atoms(["a1", "a2"], ["b1"], ["c1"])
    announced: list[str] = []
    line = Line(source, announced.append)
    assert line.pop() == ("a1", "a2")
    assert announced == ["a1", "a2"]
    assert line.pop() == ("a2", "b1")
    assert announced == ["a1", "a2", "b1"]


def test_clearing_gives_back_what_was_announced():
    line = Line(Atoms(["a1", "a2", "a3"]), lambda item: None)
    line.pop()
    assert line.clear() == ["a2", "a3"]
    assert len(line) == 0


def test_an_empty_run():
    assert Line(Atoms(), lambda item: None).first() is None
