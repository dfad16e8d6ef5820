"""Whether the settings of a queue make sense. Pure; see `verdicts`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from pytest_slipstream.settings.model import Settings

SCHEMES = ("redis", "rediss", "valkey", "valkeys", "unix")

_NAME = re.compile(r"[\w.:-]{1,200}", re.ASCII)


def queue_problems(settings: Settings) -> Iterable[tuple[str, str]]:
    """What is wrong: pairs of an option's name and the problem."""
    if settings.queue is None:
        for name in ("build", "machine"):
            if getattr(settings, name) is not None:
                yield name, "has an effect only with a queue: --queue redis://host:6379"
        return
    if settings.shard is not None:
        yield (
            "queue",
            f"and the shard {settings.shard!r} are both given, and only one of them can say which "
            "tests this machine runs; drop --shard (also SLIPSTREAM_SHARD), or --queue",
        )
    try:
        scheme = urlsplit(settings.queue).scheme
    except ValueError:
        scheme = ""
    if scheme not in SCHEMES:
        yield "queue", f"must be a URL that begins with {', '.join(SCHEMES)}, as redis://host:6379"
    for name in ("build", "machine"):
        value = getattr(settings, name)
        if value is not None and not _NAME.fullmatch(value):
            yield name, f"is {value!r}, and must be letters, digits and any of '.', '_', ':', '-'"
