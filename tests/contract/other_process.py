"""Another process: builds a template, or makes a slot, writes to it, says so and waits.

Usage: other_process.py SETTINGS CACHE_DIR TEMPLATE build|slot|transaction:SLOT_ADDRESS
"""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

import msgspec

from pytest_slipstream.databases import engines, naming
from pytest_slipstream.databases.engines.protocol import Address, Owner
from pytest_slipstream.settings import DatabaseSettings


def main(settings_text: str, cache_dir: str, template: str, action: str) -> None:
    settings = msgspec.json.decode(settings_text, type=DatabaseSettings)
    owner = Owner(testrun_uid=uuid.uuid4().hex, worker="other")
    engine = engines.load("main", settings, cache_dir=Path(cache_dir), owner=owner)
    engine.open(lambda message: None)
    if action == "build":
        with engine.build_lock(template):
            is_there = engine.has_template(template)
            if not is_there:
                engine.run_script(engine.begin_build(template), "CREATE TABLE one (a integer);")
                engine.publish(template, "main", template)
        print("reused" if is_there else "built")
        engine.close()
        return
    if action == "slot":
        name = naming.slot_name(owner.testrun_uid, owner.worker, "main")
        address = engine.create_slot(name, template).address
    else:
        address = msgspec.json.decode(action, type=Address)
    connection = engine.connect(address)
    connection.cursor().execute("INSERT INTO roles (name) VALUES ('another process')")
    print(msgspec.json.encode(address).decode(), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
