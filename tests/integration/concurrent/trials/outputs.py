"""What tests print, log and warn about is theirs."""

import asyncio
import io
import logging
import os
import sys
import warnings

import pytest

logger = logging.getLogger("trial")
child = logging.getLogger("trial.child")


@pytest.fixture
async def loud(request):
    print("set-up of", request.node.name)
    yield
    print("teardown of", request.node.name)


@pytest.mark.parametrize("number", range(3))
async def test_prints(loud, number):
    print("out", number)
    print("err", number, file=sys.stderr)
    sys.stdout.write("written\n")
    logger.warning("logged %d", number)
    await asyncio.sleep(0.02)
    print("later", number)
    await asyncio.create_task(say("task", number))
    await asyncio.to_thread(print, "thread", number)
    assert number == -1


async def say(*words):
    await asyncio.sleep(0.01)
    print(*words)


@pytest.mark.parametrize("number", range(3))
async def test_capsys(capsys, number):
    print("out", number)
    print("err", number, file=sys.stderr)
    await asyncio.sleep(0.02)
    assert capsys.readouterr() == (f"out {number}\n", f"err {number}\n")
    print("again")
    assert capsys.readouterr().out == "again\n"
    print("for the report", number)
    assert number != 1


async def test_capsysbinary(capsysbinary):
    print("out")
    await asyncio.sleep(0.01)
    assert capsysbinary.readouterr().out == b"out\n"


async def test_disabled(capsys):
    print("before")
    with capsys.disabled():
        print("seen on the terminal")
    print("after")
    await asyncio.sleep(0.01)
    assert capsys.readouterr().out == "before\nafter\n"


async def test_capfd(capfd):
    os.write(1, b"by descriptor\n")
    await asyncio.sleep(0.01)
    assert capfd.readouterr().out == "by descriptor\n"


async def test_caplog_sees_its_own(caplog):
    logger.warning("one")
    await asyncio.sleep(0.02)
    child.error("two")
    assert caplog.messages == ["one", "two"]
    assert caplog.record_tuples[1] == ("trial.child", logging.ERROR, "two")


async def test_caplog_level(caplog):
    caplog.set_level(logging.DEBUG, logger="trial")
    await asyncio.sleep(0.02)
    logger.debug("detail")
    child.debug("detail of child")
    logging.getLogger("other").debug("not asked for")
    assert caplog.messages == ["detail", "detail of child"]


async def test_caplog_other_level(caplog):
    with caplog.at_level(logging.ERROR, logger="trial"):
        logger.warning("too low")
        await asyncio.sleep(0.02)
        logger.error("high enough")
    logger.warning("low again")
    assert caplog.messages == ["high enough", "low again"]


@pytest.mark.parametrize("number", range(2))
async def test_without_a_level(caplog, number):
    await asyncio.sleep(0.01)
    assert not logger.isEnabledFor(logging.DEBUG) or True
    logger.debug("unseen")
    logger.info("unseen")
    await asyncio.sleep(0.02)
    assert caplog.messages == []


async def test_caplog_phases(caplog, loud):
    logger.warning("call")
    assert [record.message for record in caplog.get_records("call")] == ["call"]
    assert caplog.get_records("setup") == []


@pytest.mark.parametrize("number", range(3))
async def test_warnings(number):
    warnings.warn(f"warned {number}", UserWarning, stacklevel=1)
    await asyncio.sleep(0.01)
    warnings.warn("the same", UserWarning, stacklevel=1)


@pytest.mark.filterwarnings("error::UserWarning")
async def test_warning_as_error():
    await asyncio.sleep(0.01)
    warnings.warn("now an error", UserWarning, stacklevel=1)


async def test_pytest_warns():
    with pytest.warns(UserWarning, match="expected"):
        warnings.warn("expected", UserWarning, stacklevel=1)
    await asyncio.sleep(0.01)


async def test_recwarn(recwarn):
    warnings.warn("recorded", UserWarning, stacklevel=1)
    await asyncio.sleep(0.01)
    assert len(recwarn) == 1


async def test_name_in_environment(request):
    await asyncio.sleep(0.01)
    assert os.environ["PYTEST_CURRENT_TEST"] == f"{request.node.nodeid} (call)"


async def test_stream_can_be_asked():
    assert not sys.stdout.isatty()
    assert sys.stdout.encoding.lower() == "utf-8"
    assert isinstance(sys.stdout, io.TextIOBase)


async def test_assertion_explained():
    await asyncio.sleep(0.01)
    assert {"a": 1, "b": [1, 2]} == {"a": 1, "b": [1, 3]}


async def test_long_assertion():
    await asyncio.sleep(0.02)
    assert "x" * 50 == "x" * 49 + "y"
