"""What the shop does. Every function ends with a real commit, or raises and changes nothing."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shop.models import (
    Base,
    Category,
    Country,
    Coupon,
    Customer,
    Message,
    Order,
    OrderLine,
    Payment,
    Product,
    Review,
    Shipment,
    Stock,
    Ticket,
    Warehouse,
)

Row = TypeVar("Row", bound=Base)


class ShopError(Exception):
    """The shop does not do that; the message says why."""


def register(session: Session, email: str, name: str, country: str) -> Customer:
    """Make a customer."""
    home = session.scalar(select(Country).where(Country.code == country))
    if home is None:
        raise ShopError(f"no deliveries to {country}")
    if "@" not in email:
        raise ShopError(f"not an email address: {email}")
    customer = Customer(email=email.lower(), name=name, country=home)
    return _added(session, customer, f"{email.lower()} is registered already")


def offer(
    session: Session, sku: str, title: str, price: int, *, category: str, pieces: int
) -> Product:
    """Put a product on sale, with ``pieces`` of it in every warehouse."""
    kind = session.scalars(select(Category).where(Category.name == category)).one()
    product = Product(sku=sku, title=title, price=price, category=kind)
    session.add(product)
    session.flush()
    for warehouse in session.scalars(select(Warehouse)):
        session.add(Stock(product_id=product.id, warehouse_id=warehouse.id, pieces=pieces))
    session.commit()
    return product


def search(session: Session, words: str) -> list[str]:
    """The titles that contain ``words``, in alphabetical order."""
    found = select(Product.title).where(Product.title.icontains(words)).order_by(Product.title)
    return list(session.scalars(found))


def in_stock(session: Session, product: Product) -> int:
    """Pieces of a product in all warehouses."""
    counted = select(func.sum(Stock.pieces)).where(Stock.product_id == product.id)
    return session.scalar(counted) or 0


def place(
    session: Session, customer: Customer, basket: dict[Product, int], coupon: str | None = None
) -> Order:
    """Order what is in the basket: takes the stock, uses the coupon, adds the country's tax."""
    used = _use_coupon(session, coupon)
    net = sum(product.price * pieces for product, pieces in basket.items())
    if used is not None:
        net -= net * used.percent // 100
    total = net + net * customer.country.tax_percent // 100
    order = Order(customer_id=customer.id, coupon_id=used.id if used else None, total=total)
    for product, pieces in basket.items():
        _take(session, product, pieces)
        order.lines.append(OrderLine(product_id=product.id, pieces=pieces, price=product.price))
    session.add(order)
    session.commit()
    return order


def pay(session: Session, order: Order, amount: int) -> Order:
    """Pay an order in one or in several parts."""
    session.add(Payment(order_id=order.id, amount=amount))
    session.flush()
    paid = session.scalars(
        select(func.sum(Payment.amount)).where(Payment.order_id == order.id)
    ).one()
    if paid > order.total:
        session.rollback()
        raise ShopError(f"{paid - order.total} cents too much")
    order.state = "paid" if paid == order.total else "partly paid"
    session.commit()
    return order


def ship(session: Session, order: Order) -> Shipment:
    """Send a paid order."""
    if order.state != "paid":
        raise ShopError(f"the order is {order.state}")
    warehouse = session.scalars(select(Warehouse).order_by(Warehouse.id)).first()
    assert warehouse is not None
    order.state = "shipped"
    return _added(
        session, Shipment(order_id=order.id, warehouse_id=warehouse.id), "already shipped"
    )


def cancel(session: Session, order: Order) -> Order:
    """Cancel an order that has not left, and put its pieces back."""
    if order.state in ("shipped", "cancelled"):
        raise ShopError(f"the order is {order.state}")
    for line in order.lines:
        stock = session.scalars(select(Stock).where(Stock.product_id == line.product_id)).first()
        assert stock is not None
        stock.pieces += line.pieces
    order.state = "cancelled"
    session.commit()
    return order


def review(session: Session, customer: Customer, product: Product, stars: int) -> float:
    """Rate a product once; returns its average."""
    if not 1 <= stars <= 5:
        raise ShopError(f"{stars} stars")
    rating = Review(customer_id=customer.id, product_id=product.id, stars=stars)
    _added(session, rating, "reviewed already")
    average = select(func.avg(Review.stars)).where(Review.product_id == product.id)
    return float(session.scalars(average).one())


def complain(session: Session, customer: Customer, subject: str, texts: list[str]) -> Ticket:
    """Open a ticket with its first messages; nothing is stored when one of them is empty."""
    ticket = Ticket(customer_id=customer.id, subject=subject)
    session.add(ticket)
    session.flush()
    for text in texts:
        if not text:
            session.rollback()
            raise ShopError("a message is empty")
        session.add(Message(ticket_id=ticket.id, text=text))
    session.commit()
    return ticket


def _use_coupon(session: Session, code: str | None) -> Coupon | None:
    if code is None:
        return None
    coupon = session.scalar(select(Coupon).where(Coupon.code == code))
    if coupon is None or coupon.uses_left == 0:
        session.rollback()
        raise ShopError(f"coupon {code} is not valid")
    coupon.uses_left -= 1
    return coupon


def _take(session: Session, product: Product, pieces: int) -> None:
    """Take pieces from the warehouses, the fullest first."""
    shelves = select(Stock).where(Stock.product_id == product.id).order_by(Stock.pieces.desc())
    for stock in session.scalars(shelves).all():
        taken = min(stock.pieces, pieces)
        stock.pieces -= taken
        pieces -= taken
    if pieces:
        session.rollback()
        raise ShopError(f"{pieces} pieces too few")


def _added(session: Session, row: Row, otherwise: str) -> Row:
    try:
        session.add(row)
        session.commit()
    except IntegrityError:
        session.rollback()
        raise ShopError(otherwise) from None
    return row
