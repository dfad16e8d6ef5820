"""URLs and placeholders, made from an `Address`; and the check that a server is local.

Pure: nothing here connects or starts anything.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from pytest_slipstream.databases.engines.protocol import Address

DEFAULT_DRIVERS = {"mysql": "pymysql", "postgresql": "psycopg", "sqlite": ""}

ASYNC_DRIVERS = {
    "mysql": ("asyncmy", "aiomysql"),
    "postgresql": ("asyncpg", "psycopg"),
    "sqlite": ("aiosqlite",),
}
"""The first is taken where the configuration names none of them."""
_ONLY_ASYNC = ("asyncpg", "aiosqlite", "asyncmy", "aiomysql")


def url(address: Address, driver: str | None = None) -> str:
    """A SQLAlchemy URL.

    Args:
        address: The database.
        driver: SQLAlchemy's driver name; "" for none (``postgresql://…``, which libpq reads too).
    """
    if driver is None:
        driver = DEFAULT_DRIVERS[address.engine]
    scheme = f"{address.engine}+{driver}" if driver else address.engine
    if address.engine == "sqlite":
        return _sqlite_url(scheme, address.path)
    login = quote(address.user, safe="")
    if address.password:
        login += ":" + quote(address.password, safe="")
    if address.engine == "mysql" and not _is_by_tcp(address):
        query = urlencode({"unix_socket": address.socket})
        return f"{scheme}://{login}@/{quote(address.database)}?{query}"
    if address.host.startswith("/"):
        query = urlencode({"host": address.host, "port": address.port})
        return f"{scheme}://{login}@/{quote(address.database)}?{query}"
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{scheme}://{login}@{host}:{address.port}/{quote(address.database)}"


def _is_by_tcp(address: Address) -> bool:
    return bool(address.host) and not address.host.startswith("/")


def sync_url(address: Address, driver: str | None = None) -> str:
    """A SQLAlchemy URL for a synchronous engine: with ``driver``, unless that is asynchronous."""
    return url(address, None if driver in _ONLY_ASYNC else driver)


def async_url(address: Address, driver: str | None = None) -> str:
    """A SQLAlchemy URL for an asynchronous engine: with ``driver``, unless that is synchronous."""
    known = ASYNC_DRIVERS[address.engine]
    return url(address, driver if driver in known else known[0])


def _sqlite_url(scheme: str, path: str) -> str:
    if path.startswith("file:"):
        return f"{scheme}:///{path}{'&' if '?' in path else '?'}uri=true"
    return f"{scheme}:///{path}"


def placeholders(address: Address, driver: str | None = None) -> dict[str, str]:
    """The values of `settings.PLACEHOLDERS` for the templates of ``env`` (`str.format`)."""
    return {
        "url": url(address, driver),
        "host": address.host,
        "port": str(address.port or ""),
        "user": address.user,
        "password": address.password,
        "database": address.path or address.database,
        "socket_dir": address.socket_dir,
        "socket": address.socket,
    }


def redact(text: str) -> str:
    """``text`` (a URL) with its password replaced by ``***``."""
    parts = urlsplit(text)
    if not parts.password:
        return text
    login, _, host = parts.netloc.rpartition("@")
    user = login.partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{user}:***@{host}"))


def is_local(host: str) -> bool:
    """Whether ``host`` is this machine: a socket directory, ``localhost`` or a loopback address."""
    if not host or host.startswith(("/", "@")) or host == "localhost":
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def shell(address: Address) -> str:
    """The command line that opens the database in its product's own shell."""
    if address.engine == "sqlite":
        return f"sqlite3 {quote(address.path)}"
    if address.engine == "mysql":
        command, secret = mysql_shell(address)
        return " ".join([*(f"{name}={quote(one)}" for name, one in secret.items()), *command])
    password = f"PGPASSWORD={quote(address.password)} " if address.password else ""
    return (
        f"{password}psql -h {address.host} -p {address.port} -U {address.user} {address.database}"
    )


def mysql_shell(address: Address) -> tuple[list[str], dict[str, str]]:
    """The arguments of the ``mariadb`` client, or ``mysql``'s, and the environment on top."""
    place = ["-h", address.host, "-P", str(address.port)]
    if not _is_by_tcp(address):
        place = ["-S", address.socket]
    secret = {"MYSQL_PWD": address.password} if address.password else {}
    return ["mariadb", *place, "-u", address.user, address.database], secret
