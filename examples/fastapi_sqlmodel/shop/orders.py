"""Products, their reviews, and orders."""

from fastapi import APIRouter, HTTPException
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from shop.accounts import CurrentUser
from shop.database import SessionOfRequest
from shop.models import Order, OrderLine, OrderStatus, Product, Review, User
from shop.schemas import LineIn, OrderIn, OrderOut, ProductOut, ReviewIn, ReviewOut

router = APIRouter()


@router.get("/products", response_model=list[ProductOut])
def list_products(
    session: SessionOfRequest,
    in_stock: bool = False,
    country: str | None = None,
    limit: int = 10,
    offset: int = 0,
) -> list[Product]:
    query = select(Product).order_by(Product.sku).limit(limit).offset(offset)
    if in_stock:
        query = query.where(col(Product.stock) > 0)
    if country is not None:
        query = query.where(col(Product.details)["origin"]["country"].as_string() == country)
    return list(session.exec(query))


@router.get("/products/{sku}", response_model=ProductOut)
def read_product(sku: str, session: SessionOfRequest) -> Product:
    return product_with(sku, session)


@router.get("/products/{sku}/reviews", response_model=list[ReviewOut])
def list_reviews(sku: str, session: SessionOfRequest) -> list[Review]:
    product = product_with(sku, session)
    query = select(Review).where(Review.product_id == product.id).order_by(Review.id)
    return list(session.exec(query))


@router.post("/products/{sku}/reviews", status_code=201, response_model=ReviewOut)
def write_review(sku: str, new: ReviewIn, user: CurrentUser, session: SessionOfRequest) -> Review:
    product = product_with(sku, session)
    bought = session.exec(
        select(OrderLine)
        .join(Order)
        .where(Order.user_id == user.id, OrderLine.product_id == product.id)
    ).first()
    if bought is None:
        raise HTTPException(403, "only who has ordered it reviews a product")
    review = Review(user_id=user.id, product_id=product.id, **new.model_dump())
    session.add(review)
    try:
        session.commit()
    except IntegrityError as error:
        session.rollback()
        raise HTTPException(409, "reviewed already") from error
    return review


@router.get("/orders", response_model=list[OrderOut])
def list_orders(
    user: CurrentUser, session: SessionOfRequest, status: OrderStatus | None = None
) -> list[dict[str, object]]:
    query = select(Order).where(Order.user_id == user.id).order_by(col(Order.id).desc())
    if status is not None:
        query = query.where(Order.status == status)
    return [with_total(order) for order in session.exec(query)]


@router.post("/orders", status_code=201, response_model=OrderOut)
def place_order(new: OrderIn, user: CurrentUser, session: SessionOfRequest) -> dict[str, object]:
    skus = [line.sku for line in new.lines]
    if len(set(skus)) < len(skus):
        raise HTTPException(422, "a product stands in an order once")
    order = Order(user_id=user.id, lines=[take(line, session) for line in new.lines])
    session.add(order)
    session.commit()
    return with_total(order)


@router.get("/orders/{order_id}", response_model=OrderOut)
def read_order(order_id: int, user: CurrentUser, session: SessionOfRequest) -> dict[str, object]:
    return with_total(order_of(user, order_id, session))


@router.post("/orders/{order_id}/payment", response_model=OrderOut)
def pay(order_id: int, user: CurrentUser, session: SessionOfRequest) -> dict[str, object]:
    order = open_order(user, order_id, session)
    order.status = OrderStatus.PAID
    session.commit()
    return with_total(order)


@router.post("/orders/{order_id}/cancellation", response_model=OrderOut)
def cancel(order_id: int, user: CurrentUser, session: SessionOfRequest) -> dict[str, object]:
    order = open_order(user, order_id, session)
    order.status = OrderStatus.CANCELLED
    for line in order.lines:
        line.product.stock += line.quantity
    session.commit()
    return with_total(order)


def take(line: LineIn, session: Session) -> OrderLine:
    """Take what a line asks for out of the stock."""
    product = product_with(line.sku, session)
    if product.stock < line.quantity:
        session.rollback()
        raise HTTPException(409, f"{product.stock} of {line.sku} left")
    product.stock -= line.quantity
    return OrderLine(product=product, quantity=line.quantity, price_cents=product.price_cents)


def product_with(sku: str, session: Session) -> Product:
    product = session.exec(select(Product).where(Product.sku == sku)).first()
    if product is None:
        raise HTTPException(404, f"no product {sku}")
    return product


def order_of(user: User, order_id: int, session: Session) -> Order:
    order = session.get(Order, order_id)
    if order is None or order.user_id != user.id:
        raise HTTPException(404, "no such order")
    return order


def open_order(user: User, order_id: int, session: Session) -> Order:
    order = order_of(user, order_id, session)
    if order.status is not OrderStatus.OPEN:
        raise HTTPException(409, f"the order is {order.status.value}")
    return order


def with_total(order: Order) -> dict[str, object]:
    total_cents = sum(line.price_cents * line.quantity for line in order.lines)
    return {
        "id": order.id,
        "status": order.status,
        "lines": order.lines,
        "total_cents": total_cents,
    }
