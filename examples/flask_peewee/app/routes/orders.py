"""Placing orders, and everything that happens to them."""

from flask import Blueprint, abort, g
from peewee import IntegrityError

from app.access import allowed, logged_in, may, note
from app.database import database
from app.inputs import PAGE, body, one_of, page, query, text, whole
from app.models import (
    Coupon,
    CouponUse,
    Invoice,
    Order,
    OrderLine,
    Payment,
    Product,
    Refund,
    Shipment,
    User,
    Warehouse,
)
from app.routes.stock import moved

blueprint = Blueprint("orders", __name__, url_prefix="/orders")
STATES = ("placed", "paid", "shipped", "cancelled")


def shown(order):
    return {
        "id": order.id,
        "customer": order.customer.username,
        "status": order.status,
        "total_cents": order.total_cents,
    }


def in_full(order):
    rows = OrderLine.select(OrderLine, Product).join(Product)
    rows = rows.where(OrderLine.order == order).order_by(Product.sku)
    lines = [
        {"sku": row.product.sku, "quantity": row.quantity, "unit_cents": row.unit_cents}
        for row in rows
    ]
    return {**shown(order), "lines": lines}


def found(number):
    """An order that the asker may see; others do not exist for them."""
    order = Order.get_or_none(Order.id == number)
    if order is None or (order.customer != g.user and not allowed(g.user, "orders.read")):
        abort(404, f"there is no order {number}")
    return order


def wanted_lines(value):
    quantity = whole(1, 99)
    if not isinstance(value, list) or not value:
        raise ValueError("must be a list with something in it")
    if not all(isinstance(line, dict) and set(line) == {"sku", "quantity"} for line in value):
        raise ValueError("must hold objects with sku and quantity")
    return {str(line["sku"]): quantity(line["quantity"]) for line in value}


@blueprint.post("")
@logged_in
def place():
    given = body(("lines",), lines=wanted_lines, coupon=text(r".{1,20}"))
    with database.atomic():
        order = Order.create(customer=g.user)
        order.total_cents = add_lines(order, given["lines"])
        if "coupon" in given:
            order.total_cents -= redeem(order, given["coupon"])
        order.save()
    return in_full(order), 201


def add_lines(order, lines):
    warehouse = Warehouse.select().order_by(Warehouse.code).first()
    total_cents = 0
    for sku, quantity in lines.items():
        product = Product.get_or_none(Product.sku == sku, Product.active)
        if product is None:
            abort(422, f"there is no product {sku}")
        if warehouse is None or not moved(warehouse, product, -quantity, "order"):
            abort(409, f"there are too few of {sku}")
        OrderLine.create(
            order=order, product=product, quantity=quantity, unit_cents=product.price_cents
        )
        total_cents += quantity * product.price_cents
    return total_cents


def redeem(order, code):
    """Use a coupon; the discount in cents."""
    used = Coupon.update(uses_left=Coupon.uses_left - 1)
    if not used.where(Coupon.code == code, Coupon.uses_left > 0).execute():
        abort(422, f"the coupon {code} is not valid")
    coupon = Coupon.get(Coupon.code == code)
    CouponUse.create(coupon=coupon, order=order)
    return order.total_cents * coupon.percent // 100


@blueprint.get("")
@logged_in
def list_orders():
    wanted = query(status=one_of(*STATES), **PAGE)
    rows = Order.select(Order, User).join(User).order_by(Order.id.desc())
    if not allowed(g.user, "orders.read"):
        rows = rows.where(Order.customer == g.user)
    if "status" in wanted:
        rows = rows.where(Order.status == wanted["status"])
    return page(rows, wanted, shown)


@blueprint.get("/<int:number>")
@logged_in
def get_order(number):
    return in_full(found(number))


def become(order, status, *allowed_from):
    if order.status not in allowed_from:
        abort(409, f"an order that is {order.status} cannot be {status}")
    order.status = status
    order.save()


@blueprint.post("/<int:number>/pay")
@logged_in
def pay(number):
    order = found(number)
    given = body(("method",), method=one_of("card", "transfer"))
    with database.atomic():
        become(order, "paid", "placed")
        Payment.create(order=order, method=given["method"], amount_cents=order.total_cents)
        Invoice.create(order=order, number=f"INV-{order.id:06}", total_cents=order.total_cents)
    return shown(order)


@blueprint.post("/<int:number>/ship")
@may("orders.write")
def ship(number):
    order = found(number)
    given = body(("carrier", "tracking"), carrier=text(r".{1,20}"), tracking=text(r".{1,40}"))
    try:
        with database.atomic():
            become(order, "shipped", "paid")
            Shipment.create(order=order, **given)
            note("order.ship", str(order.id))
    except IntegrityError:
        abort(409, "this tracking number is taken")
    return shown(order)


@blueprint.post("/<int:number>/cancel")
@logged_in
def cancel(number):
    order = found(number)
    warehouse = Warehouse.select().order_by(Warehouse.code).first()
    with database.atomic():
        become(order, "cancelled", "placed", "paid")
        for line in order.lines:
            moved(warehouse, line.product, line.quantity, "cancelled")
        for payment in order.payments:
            Refund.create(payment=payment, amount_cents=payment.amount_cents)
    return shown(order)
