import pytest
from sqlmodel import func, select

from shop.catalogue import PRODUCTS
from shop.models import Order, OrderLine
from tests.factories import OrderFactory

PRICE = {sku: price_cents for sku, _, price_cents, _ in PRODUCTS}
STOCK = {sku: stock for sku, *_, stock in PRODUCTS}


def order(client, **quantities):
    lines = [{"sku": sku, "quantity": quantity} for sku, quantity in quantities.items()]
    return client.post("/orders", json={"lines": lines})


def stock(client, sku):
    return client.get(f"/products/{sku}").json()["stock"]


@pytest.mark.parametrize(
    "quantities",
    [{"tea": 1}, {"tea": 3, "cup": 2}, {"pot": 5}, {"tea": 1, "cup": 1, "tin": 1, "spoon": 1}],
    ids=str,
)
def test_an_order_sums_up_and_takes_from_stock(shopper, quantities):
    answer = order(shopper, **quantities)
    assert answer.status_code == 201
    wanted = sum(PRICE[sku] * quantity for sku, quantity in quantities.items())
    assert answer.json()["total_cents"] == wanted
    for sku, quantity in quantities.items():
        assert stock(shopper, sku) == STOCK[sku] - quantity


@pytest.mark.parametrize(("sku", "quantity"), [("pot", 6), ("spoon", 2), ("whisk", 1)])
def test_nobody_orders_more_than_there_is(shopper, session, sku, quantity):
    answer = order(shopper, tea=1, **{sku: quantity})
    assert answer.status_code == 409
    assert stock(shopper, "tea") == STOCK["tea"]
    assert session.exec(select(func.count(Order.id))).one() == 0


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [{"sku": "tea", "quantity": 0}],
        [{"sku": "tea", "quantity": -1}],
        [{"sku": "tea", "quantity": 51}],
        [{"sku": "tea"}],
        [{"quantity": 1}],
        [{"sku": "tea", "quantity": 1}] * 2,
        [{"sku": f"sku{n}", "quantity": 1} for n in range(11)],
    ],
    ids=["none", "zero", "negative", "many", "no quantity", "no sku", "twice", "eleven"],
)
def test_an_invalid_order_is_refused(shopper, session, lines):
    assert shopper.post("/orders", json={"lines": lines}).status_code == 422
    assert session.exec(select(func.count(OrderLine.id))).one() == 0


def test_an_unknown_product_is_not_ordered(shopper):
    assert order(shopper, tea=1, nothing=1).status_code == 404
    assert stock(shopper, "tea") == STOCK["tea"]


@pytest.mark.parametrize("method", ["read", "pay", "cancel"])
def test_anothers_order_is_not_found(shopper, stranger, method):
    number = order(shopper, tea=1).json()["id"]
    request = {
        "read": lambda: stranger.get(f"/orders/{number}"),
        "pay": lambda: stranger.post(f"/orders/{number}/payment"),
        "cancel": lambda: stranger.post(f"/orders/{number}/cancellation"),
    }
    assert request[method]().status_code == 404
    assert shopper.get(f"/orders/{number}").json()["status"] == "open"


def test_the_newest_order_comes_first(shopper):
    numbers = [order(shopper, tea=1).json()["id"] for _ in range(3)]
    listed = [each["id"] for each in shopper.get("/orders").json()]
    assert listed == numbers[::-1]


@pytest.mark.parametrize(
    ("status", "wanted"), [("open", 1), ("paid", 1), ("cancelled", 1), (None, 3)]
)
def test_orders_are_filtered_by_status(shopper, status, wanted):
    numbers = [order(shopper, tea=1).json()["id"] for _ in range(3)]
    shopper.post(f"/orders/{numbers[0]}/payment")
    shopper.post(f"/orders/{numbers[1]}/cancellation")
    params = {"status": status} if status else {}
    assert len(shopper.get("/orders", params=params).json()) == wanted


def test_an_unknown_status_is_refused(shopper):
    assert shopper.get("/orders", params={"status": "lost"}).status_code == 422


def test_a_cancelled_order_goes_back_into_stock(shopper):
    number = order(shopper, pot=5).json()["id"]
    assert stock(shopper, "pot") == 0
    shopper.post(f"/orders/{number}/cancellation")
    assert stock(shopper, "pot") == 5


@pytest.mark.parametrize("first", ["payment", "cancellation"])
@pytest.mark.parametrize("second", ["payment", "cancellation"])
def test_what_is_settled_stays_so(shopper, first, second):
    number = order(shopper, tea=1).json()["id"]
    settled = shopper.post(f"/orders/{number}/{first}").json()["status"]
    assert shopper.post(f"/orders/{number}/{second}").status_code == 409
    assert shopper.get(f"/orders/{number}").json()["status"] == settled


@pytest.mark.parametrize("count", [0, 1, 3])
def test_everybody_sees_only_their_own_orders(shopper, stranger, user, count):
    OrderFactory.create_batch(count, user_id=user.id)
    assert len(shopper.get("/orders").json()) == count
    assert stranger.get("/orders").json() == []


def test_an_order_keeps_the_price_it_was_placed_at(shopper, session):
    number = order(shopper, tea=2).json()["id"]
    line = session.exec(select(OrderLine)).one()
    line.product.price_cents = 999
    session.commit()
    assert shopper.get(f"/orders/{number}").json()["total_cents"] == 2 * PRICE["tea"]
