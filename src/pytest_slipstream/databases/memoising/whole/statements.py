"""Statements about whole databases of PostgreSQL: which are understood, and what they depend on.

Pure. The invariant: a statement that is not understood to its last word is None, and runs as it is
written.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import ClassVar

import msgspec

from pytest_slipstream.databases.memoising.postgresql.parking import literal, quoted
from pytest_slipstream.databases.memoising.postgresql.state import PREFIX
from pytest_slipstream.databases.memoising.whole.concerns import ASKS

_NAME = r'("(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)'
_CREATE = re.compile(
    rf"\s*CREATE\s+DATABASE\s+{_NAME}(?:\s+WITH)?((?:\s+[a-z_]+\s*=?\s*(?:{_NAME}|'[^'\\]*'))*)\s*;?\s*",
    re.IGNORECASE,
)
_OPTION = re.compile(rf"\s+([a-z_]+)\s*=?\s*({_NAME}|'[^'\\]*')", re.IGNORECASE)
_DROP = re.compile(rf"\s*DROP\s+DATABASE\s+(?:IF\s+EXISTS\s+)?{_NAME}\s*;?\s*", re.IGNORECASE)
# What no other option than these depends on anything but the template and the name.
_OPTIONS = frozenset(
    ("template", "owner", "encoding", "locale", "lc_collate", "lc_ctype", "strategy")
)
_ONE_DATABASE = re.compile(
    r"\bdatname\s*=\s*(?:E?'[^']*'|%|\$|:|current_database\(\))", re.IGNORECASE
)
_DATABASES = re.compile(r"\bpg_(?:stat_)?database\b", re.IGNORECASE)
_LOOKS = re.compile(
    r"\bpg_shdepend\b|\bDROP\s+(?:ROLE|USER|GROUP|OWNED|TABLESPACE)\b|\bREASSIGN\b",
    re.IGNORECASE,
)

# All that decides what a statement comes to, of the session and of the server.
_SESSION = """
current_user = session_user,
(SELECT rolsuper OR rolcreatedb FROM pg_catalog.pg_roles WHERE rolname = current_user),
(SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user),
inet_server_addr()::text,
current_setting('server_version_num')::int,
current_setting('fsync') = 'off',
current_setting('track_counts') = 'on',
concat_ws(' ', pg_postmaster_start_time(), (SELECT stats_reset FROM pg_catalog.pg_stat_bgwriter))
"""
_USED = """
EXISTS (SELECT FROM pg_catalog.pg_stat_database WHERE datname = {name} AND numbackends > 0)
"""
# A session that has ended has been counted, since it is counted before it is gone.
_TEMPLATE = """
(SELECT concat_ws(' ', d::text, s.sessions, s.tup_inserted, s.tup_updated, s.tup_deleted,
                  s.stats_reset)
 FROM pg_catalog.pg_database d JOIN pg_catalog.pg_stat_database s ON s.datid = d.oid
 WHERE d.datname = {name} AND s.numbackends = 0)
"""
_IN_THE_WAY = """
(SELECT NOT d.datistemplate AND s.numbackends = 0 AND d.datname <> current_database()
        AND pg_has_role(d.datdba, 'USAGE')
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots r WHERE r.database = d.datname)
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts p WHERE p.database = d.datname)
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_subscription)
 FROM pg_catalog.pg_database d JOIN pg_catalog.pg_stat_database s ON s.datid = d.oid
 WHERE d.datname = {name})
"""


class Facts(msgspec.Struct, frozen=True):
    """What a session says before a statement.

    ``itself``: it acts as the role that logged in; ``is_used``: somebody is in the database;
    ``state``: of the template, or whether a database can be put out of sight; None where there is
    no such database.
    """

    itself: bool
    may_create: bool
    is_superuser: bool
    server: str | None
    version: int
    is_unsafe: bool
    counts: bool
    since: str
    is_used: bool
    state: str | bool | None


class Create(msgspec.Struct, frozen=True):
    """``CREATE DATABASE``. ``options``: all that follows the name."""

    label: ClassVar[str] = "CREATE DATABASE on PostgreSQL"
    state_type: ClassVar[str] = "text"
    status: ClassVar[str] = "CREATE DATABASE"
    name: str
    options: str
    template: str
    has_owner: bool
    has_strategy: bool

    @property
    def question(self) -> str:
        """What is asked for `Facts`."""
        return _question(self.template, _TEMPLATE)

    def text(self, name: str, facts: Facts) -> str:
        """The statement, for a database of any name; fast where nothing is synced."""
        fast = facts.is_unsafe and facts.version >= 150000 and not self.has_strategy
        strategy = " STRATEGY FILE_COPY" if fast else ""
        return f"CREATE DATABASE {quoted(name)}{self.options}{strategy}"


class Drop(msgspec.Struct, frozen=True):
    """``DROP DATABASE``."""

    label: ClassVar[str] = "DROP DATABASE on PostgreSQL"
    state_type: ClassVar[str] = "bool"
    status: ClassVar[str] = "DROP DATABASE"
    name: str

    @property
    def text(self) -> str:
        """The statement."""
        return f"DROP DATABASE {quoted(self.name)}"

    @property
    def question(self) -> str:
        """What is asked for `Facts`."""
        return _question(self.name, _IN_THE_WAY)


def read(text: str) -> Create | Drop | None:
    """A statement that is understood; those about slipstream's own databases are not."""
    if (found := _DROP.fullmatch(text)) is not None:
        name = _plain(found[1])
        return None if name.startswith(PREFIX) else Drop(name)
    found = _CREATE.fullmatch(text)
    if found is None or _plain(found[1]).startswith(PREFIX):
        return None
    pairs = [(name.lower(), value) for name, value, *_ in _OPTION.findall(found[2] or "")]
    options = dict(pairs)
    if len(options) < len(pairs) or not options.keys() <= _OPTIONS:
        return None
    template = _plain(options.get("template", "template1"))
    if template.startswith(PREFIX):
        return None
    return Create(
        name=_plain(found[1]),
        options=found[2] or "",
        template="template1" if template == "default" else template,
        has_owner="owner" in options,
        has_strategy="strategy" in options,
    )


@lru_cache(maxsize=16)  # of those that memoising sends again and again
def looks(text: str) -> bool:
    """Whether a statement could tell what databases there are, save by one name."""
    by_name = len(_ONE_DATABASE.findall(text))
    return len(_DATABASES.findall(text)) > by_name or _LOOKS.search(text) is not None


def _question(name: str, state: str) -> str:
    used = _USED.format(name=literal(name))
    return f"{ASKS} {_SESSION}, {used}, {state.format(name=literal(name))}"


def _plain(name: str) -> str:
    """As the catalogue has a name: what is not quoted, in small letters, and 63 bytes of it."""
    if name.startswith('"'):
        plain = name[1:-1].replace('""', '"')
    elif name.startswith("'"):
        plain = name[1:-1]
    else:
        plain = name.lower()
    return plain.encode()[:63].decode("utf-8", "ignore")
