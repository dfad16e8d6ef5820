"""Figures, names and tables as a person reads them in Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from rich.filesize import decimal

from pytest_slipstream.measure.values import Composition, Machine

_LISTED = 10


def described(machine: Machine) -> str:
    """A machine, in a line."""
    memory = round(machine.memory_bytes / 2**30)
    return f"{machine.processor}, {machine.cores} cores, {memory} GB, {machine.system}"


def composed(composition: Composition) -> str:
    """Tests by lane and outcome, in a line."""
    return "; ".join(
        (f"{lane}: " if lane else "")
        + ", ".join(f"{number} {outcome}" for outcome, number in outcomes.items())
        for lane, outcomes in composition.items()
    )


def seconds(value: float) -> str:
    """Seconds to three digits; minutes from two of them on."""
    if value >= 120:
        minutes, rest = divmod(round(value), 60)
        return f"{minutes} min {rest:02} s"
    if value < 0.0995:
        return f"{value * 1000:.1f} ms" if value < 0.00995 else f"{value * 1000:.0f} ms"
    return f"{value:.{2 if value < 9.995 else 1}f} s"


def change(before: float | None, after: float | None) -> str:
    """By how much something changed."""
    return f"{after / before - 1:+.0%}" if before and after is not None else ""


def middle(values: Iterable[int | None]) -> int | None:
    """The median of what is known."""
    seen = [value for value in values if value is not None]
    return round(median(seen)) if seen else None


def size(value: int | None) -> str:
    """Bytes in decimal units."""
    return "" if value is None else decimal(value)


def spread(values: Iterable[float]) -> str:
    """From the least to the most of seconds."""
    seen = sorted(values)
    return f"{seconds(seen[0])} to {seconds(seen[-1])}"


def size_spread(values: Iterable[int | None]) -> str:
    """The same of what is known of bytes."""
    seen = sorted(value for value in values if value is not None)
    return f"{decimal(seen[0])} to {decimal(seen[-1])}" if seen else ""


def count(number: int, what: str) -> str:
    """A number of things, in the singular or the plural."""
    return f"{number} {what}" + ("" if number == 1 else "s")


def listed(names: Sequence[str]) -> str:
    """The first names."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def code(text: str) -> str:
    """Text as Markdown's code, which may stand in a table."""
    text = " ".join(text.split())
    fence = "``" if "`" in text else "`"
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", "\\|")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table, with figures on the right."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]
