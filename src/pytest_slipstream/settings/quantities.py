"""Texts with units, as budgets write them: ``1.5s``, ``6GB``, ``20%``. Pure."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z%]+)\Z")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_BYTES = {
    **{f"{prefix}B": 1000.0**power for power, prefix in enumerate(("", "k", "M", "G", "T"))},
    **{f"{prefix}iB": 1024.0**power for power, prefix in enumerate(("K", "M", "G", "T"), start=1)},
    "KB": 1000.0,
}


def seconds(text: str) -> float:
    """A duration in seconds.

    Raises:
        ValueError: It is none; the message says what one looks like.
    """
    return _quantity(text, _SECONDS, "a duration such as '500ms', '1.5s' or '3m'")


def size_bytes(text: str) -> float:
    """A size in bytes.

    Raises:
        ValueError: It is none; the message says what one looks like.
    """
    return _quantity(text, _BYTES, "a size such as '800MB', '6GB' or '2GiB'")


def share(text: str) -> float:
    """A percentage; 0.2 for ``20%``.

    Raises:
        ValueError: It is none; the message says what one looks like.
    """
    return _quantity(text, {"%": 0.01}, "a percentage such as '20%'")


def beyond(seen: float, limit: float, digits: int) -> str:
    """A number that is over its limit, with so many digits that one sees it.

    Args:
        seen: The number.
        limit: Which it is over.
        digits: The least after the point.
    """
    while float(text := f"{seen:.{digits}f}") <= limit < seen:
        digits += 1
    return text


def seconds_beyond(seen_s: float, limit_s: float) -> str:
    """The same of durations; short ones in milliseconds."""
    if seen_s < 0.1:
        return f"{beyond(1000 * seen_s, 1000 * limit_s, 1)}ms"
    return f"{beyond(seen_s, limit_s, 2)}s"


def _quantity(text: str, units: dict[str, float], wanted: str) -> float:
    found = _NUMBER.match(text.strip())
    if found is None or found[2] not in units or not float(found[1]):
        raise ValueError(f"is {text!r}, and must be {wanted}")
    return float(found[1]) * units[found[2]]
