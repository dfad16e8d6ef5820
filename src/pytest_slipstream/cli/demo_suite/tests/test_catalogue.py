"""Products are found by their title and rated by those who bought them."""

from __future__ import annotations

import pytest
from shop.models import Customer, Product
from shop.services import ShopError, in_stock, offer, register, review, search
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session


@pytest.mark.parametrize(
    ("words", "titles"),
    [
        ("lathe", ["Big lathe", "Small lathe"]),
        ("LATHE", ["Big lathe", "Small lathe"]),
        ("big", ["Big lathe"]),
        ("saw", ["Band saw"]),
        ("a", ["Band saw", "Big lathe", "Small lathe"]),
        ("hammer", []),
    ],
)
def test_search_finds_titles(session: Session, words: str, titles: list[str]) -> None:
    for sku, title in enumerate(["Small lathe", "Band saw", "Big lathe"]):
        offer(session, str(sku), title, 5_000, category="tools", pieces=1)
    assert search(session, words) == titles


@pytest.mark.parametrize("category", ["books", "tools", "toys"])
@pytest.mark.parametrize("pieces", [0, 1, 7])
def test_an_offer_fills_every_warehouse(session: Session, category: str, pieces: int) -> None:
    product = offer(session, "P-1", "Thing", 100, category=category, pieces=pieces)
    assert in_stock(session, product) == 2 * pieces


@pytest.mark.parametrize("price", [0, -1])
def test_the_database_refuses_a_price_that_is_not_positive(session: Session, price: int) -> None:
    with pytest.raises(IntegrityError):
        offer(session, "P-1", "Gift", price, category="toys", pieces=1)


@pytest.mark.parametrize("first", [1, 3, 5])
@pytest.mark.parametrize("second", [1, 2, 3, 4, 5])
def test_stars_are_averaged(
    session: Session, ada: Customer, lathe: Product, first: int, second: int
) -> None:
    grace = register(session, "grace@example.org", "Grace", "FR")
    assert review(session, ada, lathe, first) == first
    assert review(session, grace, lathe, second) == (first + second) / 2


@pytest.mark.parametrize("stars", [-1, 0, 6])
def test_there_are_one_to_five_stars(
    session: Session, ada: Customer, lathe: Product, stars: int
) -> None:
    with pytest.raises(ShopError, match="stars"):
        review(session, ada, lathe, stars)


def test_a_customer_reviews_once(session: Session, ada: Customer, lathe: Product) -> None:
    review(session, ada, lathe, 5)
    with pytest.raises(ShopError, match="reviewed already"):
        review(session, ada, lathe, 1)
