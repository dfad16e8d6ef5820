"""Fixtures of every scope, synchronous and asynchronous: set up once, torn down once, in order."""

import asyncio
import contextlib

import pytest

MADE = []


def fixture_pair(scope):
    @pytest.fixture(scope=scope, name=f"sync_{scope}")
    def synchronous(request):
        MADE.append(f"sync {scope} of {request.node.name}")
        yield f"sync {scope}"
        MADE.append(f"sync {scope} of {request.node.name} gone")

    @pytest.fixture(scope=scope, name=f"async_{scope}")
    async def asynchronous(request):
        await asyncio.sleep(0.01)
        MADE.append(f"async {scope} of {request.node.name}")
        yield f"async {scope}"
        await asyncio.sleep(0.01)
        MADE.append(f"async {scope} of {request.node.name} gone")

    return synchronous, asynchronous


sync_session, async_session = fixture_pair("session")
sync_package, async_package = fixture_pair("package")
sync_module, async_module = fixture_pair("module")
sync_class, async_class = fixture_pair("class")
sync_function, async_function = fixture_pair("function")
EVERY = [
    f"{kind}_{scope}"
    for kind in ("sync", "async")
    for scope in ("session", "package", "module", "class", "function")
]


class TestEvery:
    @pytest.mark.parametrize("number", range(3))
    @pytest.mark.usefixtures(*EVERY)
    async def test_one(self, number):
        await asyncio.sleep(0.05)

    @pytest.mark.usefixtures(*EVERY)
    async def test_another(self, request):
        await asyncio.sleep(0.05)
        assert f"async function of {request.node.name}" in MADE


def test_of_the_class_all_is_gone_and_was_there_once():
    assert [line for line in MADE if line.startswith(("sync class", "async class"))] == [
        "sync class of TestEvery",
        "async class of TestEvery",
        "async class of TestEvery gone",
        "sync class of TestEvery gone",
    ]


def test_wider_ones_were_made_once_and_are_there():
    for scope in ("session", "package", "module"):
        for kind in ("sync", "async"):
            lines = [line for line in MADE if line.startswith(f"{kind} {scope}")]
            assert len(lines) == 1, MADE


def test_each_test_had_its_own():
    assert len([line for line in MADE if "async function" in line]) == 8


@pytest.fixture
async def value():
    return {"fresh": True}


@pytest.fixture
async def nothing():
    return None


@pytest.fixture
def outer(value):
    value["outer"] = True
    return value


@pytest.mark.parametrize("number", range(3))
async def test_a_function_fixture_is_not_shared(outer, value, nothing, number):
    assert outer is value
    assert nothing is None
    value["number"] = number
    await asyncio.sleep(0.02)
    assert value == {"fresh": True, "outer": True, "number": number}


def test_a_synchronous_test_can_use_asynchronous_fixtures(value, async_module):
    assert value == {"fresh": True}
    assert async_module == "async module"
    assert asyncio.run(asyncio.sleep(0, "own loop")) == "own loop"


@pytest.fixture
async def stack():
    async with contextlib.AsyncExitStack() as stack:
        yield stack


@contextlib.contextmanager
def opened(log):
    log.append("open")
    yield log
    log.append("closed")


async def test_context_managers_across_yield(stack):
    log = stack.enter_context(opened([]))
    await asyncio.sleep(0.01)
    assert log == ["open"]


class TestXunit:
    @classmethod
    def setup_class(cls):
        cls.seen = []

    @classmethod
    def teardown_class(cls):
        assert sorted(cls.seen) == ["1", "2"]

    def setup_method(self, method):
        self.name = method.__name__

    async def test_1(self):
        await asyncio.sleep(0.01)
        assert self.name == "test_1"
        self.seen.append("1")

    async def test_2(self):
        assert self.name == "test_2"
        self.seen.append("2")


@pytest.fixture
def added(request):
    request.addfinalizer(lambda: MADE.append("added"))  # noqa: PT021


async def test_dynamic_fixtures_and_finalizers(request, added):
    assert request.getfixturevalue("sync_module") == "sync module"
    assert request.getfixturevalue("tmp_path").is_dir()
    request.node.addfinalizer(lambda: MADE.append(f"end of {request.node.name}"))


def test_finalizers_ran():
    assert "added" in MADE
    assert "end of test_dynamic_fixtures_and_finalizers" in MADE


@pytest.fixture(autouse=True)
async def around(request):
    MADE.append(f"around {request.node.name}")
    yield
    MADE.append(f"around {request.node.name} is over")


async def test_autouse(request):
    await asyncio.sleep(0.01)
    assert "around test_autouse" in MADE
    assert "around test_autouse is over" not in MADE


async def test_tmp_path(tmp_path):
    (tmp_path / "file").write_text(tmp_path.name)
    await asyncio.sleep(0.01)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


async def test_monkeypatch(monkeypatch):
    monkeypatch.setenv("TRIAL", "1")
    await asyncio.sleep(0.01)
