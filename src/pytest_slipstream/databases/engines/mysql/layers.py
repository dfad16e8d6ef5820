"""Layers: databases with copies of the tables that a wider fixture wrote to.

The invariant: an image in a layer is read only, until a layer under it is taken out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import pymysql

from pytest_slipstream.databases.engines.mysql import copying, restoring, sessions
from pytest_slipstream.databases.engines.mysql.blueprint import Blueprint, Table
from pytest_slipstream.databases.engines.mysql.copying import Image
from pytest_slipstream.databases.engines.mysql.sessions import Session
from pytest_slipstream.errors import IsolationError


class Base(msgspec.Struct, frozen=True):
    """A database as it was at one moment: how it is defined, and where each table's rows lie."""

    blueprint: Blueprint
    images: Mapping[str, Image]

    @property
    def positions(self) -> dict[str, int]:
        """The next AUTO_INCREMENT values of the tables that have one."""
        return {
            name: image.position
            for name, image in self.images.items()
            if image.position and self.blueprint.tables[name].kind != "sequence"
        }


class Layer(msgspec.Struct, frozen=True):
    """What a wider fixture wrote. ``blueprint``: of the whole slot, if it changed the schema."""

    database: str
    images: Mapping[str, Image]
    blueprint: Blueprint | None = None


def of_all(session: Session, slot: str, name: str) -> Layer:
    """A layer of the whole slot, whose schema was changed.

    Raises:
        IsolationError: Something in the schema cannot be made again.
    """
    try:
        blueprint, images = copying.copy(session, slot, name)
    except pymysql.err.MySQLError as error:
        raise IsolationError(
            f"what a wider fixture made of the schema of {slot} cannot be made again: "
            f"{sessions.text(error)}",
            hint="drop the views, routines and defaults that need what the fixture dropped",
        ) from error
    return Layer(name, images, blueprint)


def of(
    session: Session, slot: str, name: str, tables: Iterable[Table], positions: Mapping[str, int]
) -> Layer:
    """A layer of some tables, in a database that is there and empty.

    Args:
        session: Copies them.
        slot: Where they are.
        name: The layer's database.
        tables: Which.
        positions: Their next AUTO_INCREMENT values.
    """
    images = {}
    for table in tables:
        if table.kind == "sequence":
            query = f"SELECT next_not_cached_value FROM {sessions.quoted(slot, table.name)}"
            images[table.name] = Image(None, int(session.rows(query)[0][0]))
        else:
            session.run(restoring.image_made(table, slot, name))
            position = positions.get(table.name, 1) if table.counts else 0
            images[table.name] = Image(name, position)
    return Layer(name, images)


def take_out(
    session: Session,
    layer: Layer,
    above: Sequence[Layer],
    below: Mapping[str, Image],
    tables: Mapping[str, Table],
) -> None:
    """Change back, in the layers above, the rows that a layer had changed and they had not.

    Args:
        session: Changes them.
        layer: The layer that ends.
        above: Those that stay on top of it.
        below: What lies under it.
        tables: The slot's tables.
    """
    for one in above:
        for name in sorted(layer.images.keys() & one.images.keys()):
            lower, upper = layer.images[name].database, one.images[name].database
            if lower is not None and upper is not None:
                session.run(restoring.taken_out(tables[name], upper, lower, below[name].database))
