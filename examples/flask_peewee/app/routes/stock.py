"""What is in the warehouses."""

from flask import Blueprint, abort

from app.access import may, note
from app.database import database
from app.inputs import body, text, whole
from app.models import StockLevel, StockMove, Warehouse
from app.routes.products import found

blueprint = Blueprint("stock", __name__, url_prefix="/stock")


def moved(warehouse, product, change, reason):
    """Move goods; False when there are too few."""
    level, _ = StockLevel.get_or_create(warehouse=warehouse, product=product)
    enough = StockLevel.amount + change >= 0
    changed = StockLevel.update(amount=StockLevel.amount + change)
    if not changed.where(StockLevel.id == level.id, enough).execute():
        return False
    StockMove.create(warehouse=warehouse, product=product, change=change, reason=reason)
    return True


@blueprint.get("/<sku>")
@may("stock.write")
def levels(sku):
    rows = StockLevel.select(StockLevel, Warehouse).join(Warehouse)
    rows = rows.where(StockLevel.product == found(sku)).order_by(Warehouse.code)
    return {"items": {row.warehouse.code: row.amount for row in rows}}


@blueprint.post("/<sku>/moves")
@may("stock.write")
def move(sku):
    product = found(sku)
    given = body(
        ("warehouse", "change", "reason"),
        warehouse=text(r"[A-Z]{2,10}"),
        change=whole(-10_000, 10_000),
        reason=text(r".{1,40}"),
    )
    warehouse = Warehouse.get_or_none(Warehouse.code == given["warehouse"])
    if warehouse is None:
        abort(422, f"there is no warehouse {given['warehouse']}")
    with database.atomic():
        if not moved(warehouse, product, given["change"], given["reason"]):
            abort(409, "there are too few")
        note("stock.move", sku)
    return "", 204
