"""What ``slipstream measure`` and ``slipstream compare`` show while commands run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pytest_slipstream.measure.measuring import Show
from pytest_slipstream.measure.process import ended_like_by_ctrl_c
from pytest_slipstream.measure.timetable import Turn
from pytest_slipstream.scheduling.prediction import duration


@contextmanager
def progress(turns: Sequence[Turn], names: Sequence[str]) -> Iterator[Show]:
    """A bar of the turns, with the time left, on standard error: the table alone is the output."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    console, begun = Console(stderr=True), set[int]()
    with ended_like_by_ctrl_c(), Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("", total=len(turns), left="")

        def show(number: int, remaining_s: float | None) -> None:
            turn = turns[number]
            warm = "" if turn.counts else ", warm-up"
            left = "" if remaining_s is None else f"{duration(remaining_s)} left"
            name = f"{names[turn.side]}{warm}"
            if not console.is_terminal and number not in begun:
                begun.add(number)  # a CI job that prints nothing for long is ended
                say(f"run {number + 1} of {len(turns)}: {name}  {left}".rstrip())
            bars.update(task, completed=number, description=name, left=left)

        yield show


def say(text: str) -> None:
    """A line beside the table."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(text, markup=False)
