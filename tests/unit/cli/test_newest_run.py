from __future__ import annotations

from pathlib import Path

import pytest

from pytest_slipstream.cli.newest_run import read_run
from pytest_slipstream.errors import SlipstreamError


@pytest.mark.parametrize(
    "line", [b"garbage", b'{"event":"NoSuchEvent"}', b'{"event":"RunFinished","exit_sta', b"\xff"]
)
def test_record_that_cannot_be_read_is_named(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "events-main.jsonl").write_bytes(line + b"\n")
    with pytest.raises(SlipstreamError, match=r"the run record .* cannot be read: ") as raised:
        read_run(tmp_path)
    assert raised.value.hint is not None
    assert "run pytest again" in raised.value.hint


def test_record_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SlipstreamError, match="there is no run record in"):
        read_run(tmp_path / "none")
