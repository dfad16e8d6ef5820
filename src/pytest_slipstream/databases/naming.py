"""The names of templates, slots and kept databases, and how to read them back.

Every database that slipstream makes starts with `PREFIX`; nothing else is ever dropped. A name says
whose it is, so that a later run can tell a dead run's slot from a live one's by asking for that
owner's lock.
"""

from __future__ import annotations

import hashlib
import re

import msgspec

PREFIX = "slipstream_"
_SLOT = re.compile(r"slipstream_s_([0-9a-f]{12})_(.+)\Z")


class SlotName(msgspec.Struct, frozen=True):
    """A slot's name taken apart: the owner's digest and the rest."""

    owner: str
    rest: str


def owner_digest(testrun_uid: str, worker: str) -> str:
    """Twelve hexadecimal digits that stand for one process of one run."""
    return hashlib.sha256(f"{testrun_uid}/{worker}".encode()).hexdigest()[:12]


def slot_name(testrun_uid: str, worker: str, database: str, number: int = 0) -> str:
    """The name of the ``number``-th slot of a process for the configured ``database``."""
    return f"{PREFIX}s_{owner_digest(testrun_uid, worker)}_{database}_{number}"


def parse_slot_name(name: str) -> SlotName | None:
    """Take a slot's name apart; None for a name of another kind."""
    found = _SLOT.match(name)
    return SlotName(found[1], found[2]) if found else None


def is_home(slot: str) -> bool:
    """Whether a slot is the one of its process that the configuration's URL names."""
    return slot.endswith("_0")


def template_name(database: str, fingerprint: str) -> str:
    """The published template's name."""
    return f"{PREFIX}t_{database}_{fingerprint[:16]}"


def build_name(template: str) -> str:
    """The name a template has while it is built."""
    return template.replace(f"{PREFIX}t_", f"{PREFIX}b_", 1)


def template_of(build: str) -> str:
    """The name a template will have that is built under the name ``build``."""
    return build.replace(f"{PREFIX}b_", f"{PREFIX}t_", 1)


def kept_name(database: str, node_id: str, number: int) -> str:
    """The name of a failed test's database: readable, unique by ``number``, at most 63 bytes."""
    readable = re.sub(r"[^a-z0-9]+", "_", node_id.rpartition("::")[2].lower()).strip("_")
    head, tail = f"{PREFIX}k_{database}_", f"_{number:x}"
    return head + readable[: 63 - len(head) - len(tail)] + tail
