from __future__ import annotations

import pytest

from pytest_slipstream.queue.urls import redacted


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("rediss://user:secret@host:6379/0", "rediss://***@host:6379/0"),
        ("redis://host?username=user&password=secret", "redis://host"),
        ("unix://user:secret@/run/redis.sock?db=1", "unix://***@/run/redis.sock"),
        # A character of the password is not encoded: what is the host is not clear.
        ("redis://user:sec/ret@host:6379/0", "***"),
        ("redis://user:sec#ret@host:6379/0", "***"),
        ("redis://user#:secret@host:6379/0", "redis://***"),
        ("redis://user?:secret@host:6379/0", "redis://***"),
        ("redis:user:secret@host", "redis://***"),
        ("redis://[user:secret@host", "***"),
    ],
)
def test_no_part_of_a_password_is_shown(url: str, shown: str) -> None:
    assert redacted(url) == shown
