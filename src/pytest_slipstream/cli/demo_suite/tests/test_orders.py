"""Orders take stock, add tax, use coupons, are paid, shipped and cancelled."""

from __future__ import annotations

import pytest
from shop.models import Coupon, Customer, Product
from shop.seed import TAX_PERCENT
from shop.services import ShopError, cancel, in_stock, pay, place, register, ship
from sqlalchemy.orm import Session


@pytest.mark.parametrize("country", TAX_PERCENT)
@pytest.mark.parametrize("pieces", [1, 2, 5, 10, 20])
@pytest.mark.parametrize("percent", [0, 10, 50])
def test_the_total_has_coupon_and_tax(
    session: Session, lathe: Product, country: str, pieces: int, percent: int
) -> None:
    session.add(Coupon(code="WELCOME", percent=percent, uses_left=1))
    customer = register(session, "ada@example.org", "Ada", country)
    order = place(session, customer, {lathe: pieces}, coupon="WELCOME")
    net = 10_000 * pieces * (100 - percent) // 100
    assert order.id == 1
    assert order.total == net * (100 + TAX_PERCENT[country]) // 100
    assert in_stock(session, lathe) == 20 - pieces


@pytest.mark.parametrize("pieces", [21, 100])
def test_what_is_not_there_is_not_sold(
    session: Session, ada: Customer, lathe: Product, pieces: int
) -> None:
    with pytest.raises(ShopError, match=f"{pieces - 20} pieces too few"):
        place(session, ada, {lathe: pieces})
    assert in_stock(session, lathe) == 20


@pytest.mark.parametrize("uses", [0, 1, 2])
def test_a_coupon_is_used_up(session: Session, ada: Customer, lathe: Product, uses: int) -> None:
    session.add(Coupon(code="TWICE", percent=10, uses_left=uses))
    session.commit()
    for _ in range(uses):
        place(session, ada, {lathe: 1}, coupon="TWICE")
    with pytest.raises(ShopError, match="TWICE is not valid"):
        place(session, ada, {lathe: 1}, coupon="TWICE")
    assert in_stock(session, lathe) == 20 - uses


@pytest.mark.parametrize("parts", [[11_900], [10_000, 1_900], [1, 11_899], [5_000, 5_000, 1_900]])
def test_an_order_that_is_paid_is_shipped(
    session: Session, ada: Customer, lathe: Product, parts: list[int]
) -> None:
    order = place(session, ada, {lathe: 1})
    for amount in parts:
        pay(session, order, amount)
    ship(session, order)
    assert order.state == "shipped"


@pytest.mark.parametrize("amount", [1, 11_899])
def test_an_order_that_is_partly_paid_stays(
    session: Session, ada: Customer, lathe: Product, amount: int
) -> None:
    order = pay(session, place(session, ada, {lathe: 1}), amount)
    with pytest.raises(ShopError, match="partly paid"):
        ship(session, order)


def test_too_much_money_is_refused(session: Session, ada: Customer, lathe: Product) -> None:
    order = place(session, ada, {lathe: 1})
    with pytest.raises(ShopError, match="1 cents too much"):
        pay(session, order, 11_901)
    assert order.state == "placed"


@pytest.mark.parametrize("pieces", [1, 3, 10])
def test_a_cancelled_order_puts_its_pieces_back(
    session: Session, ada: Customer, lathe: Product, pieces: int
) -> None:
    order = place(session, ada, {lathe: pieces})
    assert in_stock(session, lathe) == 20 - pieces
    assert cancel(session, order).state == "cancelled"
    assert in_stock(session, lathe) == 20


def test_what_has_left_is_not_cancelled(session: Session, ada: Customer, lathe: Product) -> None:
    order = pay(session, place(session, ada, {lathe: 1}), 11_900)
    ship(session, order)
    with pytest.raises(ShopError, match="shipped"):
        cancel(session, order)
