"""Customers register once, from a country that the shop delivers to."""

from __future__ import annotations

import pytest
from shop.models import Customer
from shop.seed import TAX_PERCENT
from shop.services import ShopError, register
from sqlalchemy import func, select
from sqlalchemy.orm import Session

EMAILS = ["ada@example.org", "grace.hopper@navy.example", "o'neil@example.org", "李@example.cn"]


@pytest.mark.parametrize("country", TAX_PERCENT)
@pytest.mark.parametrize("email", EMAILS)
def test_the_first_customer_has_number_one(session: Session, email: str, country: str) -> None:
    customer = register(session, email, "Somebody", country)
    assert customer.id == 1
    assert customer.country.code == country


@pytest.mark.parametrize("email", EMAILS)
def test_an_address_registers_once_in_any_case(session: Session, email: str) -> None:
    register(session, email, "First", "DE")
    with pytest.raises(ShopError, match="registered already"):
        register(session, email.upper().lower(), "Second", "FR")
    assert session.scalar(select(func.count()).select_from(Customer)) == 1


@pytest.mark.parametrize(
    ("email", "country", "reason"),
    [
        ("ada@example.org", "XX", "no deliveries"),
        ("ada@example.org", "", "no deliveries"),
        ("ada", "DE", "not an email address"),
        ("", "DE", "not an email address"),
    ],
)
def test_a_refused_customer_is_not_stored(
    session: Session, email: str, country: str, reason: str
) -> None:
    with pytest.raises(ShopError, match=reason):
        register(session, email, "Nobody", country)
    assert session.scalar(select(func.count()).select_from(Customer)) == 0
