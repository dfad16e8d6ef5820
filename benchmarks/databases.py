"""Engines, templates and slots for measuring, made as a test run makes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

from pytest_slipstream.databases import engines, naming
from pytest_slipstream.databases.cache import cache_directory
from pytest_slipstream.databases.engines.protocol import Engine, Owner, Slot
from pytest_slipstream.databases.urls import url
from pytest_slipstream.settings import DatabaseSettings

DATABASE = "bench"


@contextmanager
def engine_of(settings: DatabaseSettings) -> Iterator[tuple[Engine, Owner]]:
    """An open engine, and the owner of the slots to be made with it."""
    owner = Owner(testrun_uid=uuid4().hex, worker="main")
    cache_dir = cache_directory(None, os.environ)
    engine = engines.load(DATABASE, settings, cache_dir=cache_dir, owner=owner)
    engine.open(lambda _: None)
    try:
        yield engine, owner
    finally:
        engine.close()


@contextmanager
def slot_of(engine: Engine, owner: Owner, fill: Callable[[str], None]) -> Iterator[Slot]:
    """A slot of a template that ``fill`` makes; both are dropped at the end."""
    fingerprint = uuid4().hex
    template = naming.template_name(DATABASE, fingerprint)
    with engine.build_lock(template):
        address = engine.begin_build(template)
        fill(url(address))
        engine.publish(template, address.database, fingerprint)
    number = int(fingerprint[:4], 16)
    name = naming.slot_name(owner.testrun_uid, owner.worker, DATABASE, number)
    slot = engine.create_slot(name, template)
    try:
        yield slot
    finally:
        slot.close()
        engine.drop_template(template)
