import pytest

from app.models import StockLevel, StockMove
from tests.people import PRODUCTS, STOCK


def move(client, change, warehouse="MAIN", sku="BK-1"):
    body = {"warehouse": warehouse, "change": change, "reason": "counted"}
    return client.post(f"/stock/{sku}/moves", json=body).status_code


@pytest.mark.parametrize("sku", ["BK-1", "GM-1", "TE-1"])
def test_what_is_there(clerk, sku):
    assert clerk.get(f"/stock/{sku}").json == {"items": {"MAIN": STOCK}}


@pytest.mark.parametrize("change", [-10, -3, 0, 5, 10_000])
def test_moving(clerk, change):
    assert move(clerk, change) == 204
    assert clerk.get("/stock/BK-1").json == {"items": {"MAIN": STOCK + change}}
    assert [each.change for each in StockMove.select()] == [change]


@pytest.mark.parametrize("change", [-11])
def test_too_few(clerk, change):
    assert move(clerk, change) == 409
    assert clerk.get("/stock/BK-1").json == {"items": {"MAIN": STOCK}}
    assert StockMove.select().count() == 0


def test_another_warehouse(clerk):
    assert move(clerk, 4, "NORTH") == 204
    assert clerk.get("/stock/BK-1").json == {"items": {"MAIN": STOCK, "NORTH": 4}}


def test_a_refusal_leaves_no_level(clerk):
    assert move(clerk, -1, "NORTH") == 409
    assert StockLevel.select().count() == len(PRODUCTS)


@pytest.mark.parametrize(
    ("change", "warehouse", "sku", "status"),
    [
        (1, "SOUTH", "BK-1", 422),
        (1, "main", "BK-1", 422),
        (1, "MAIN", "BK-9", 404),
        (10_001, "MAIN", "BK-1", 422),
        ("one", "MAIN", "BK-1", 422),
        (None, "MAIN", "BK-1", 422),
    ],
)
def test_a_move_that_is_refused(clerk, change, warehouse, sku, status):
    assert move(clerk, change, warehouse, sku) == status
    assert StockMove.select().count() == 0
