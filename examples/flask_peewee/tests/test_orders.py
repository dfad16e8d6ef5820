import pytest

from app.models import CouponUse, Invoice, Order, OrderLine, Payment, Refund, Shipment, StockMove
from tests.people import PRODUCTS, STOCK

PARCEL = {"carrier": "Pigeon", "tracking": "P-1"}


def place(client, coupon=None, **quantities):
    lines = [{"sku": sku.replace("_", "-"), "quantity": n} for sku, n in quantities.items()]
    return client.post("/orders", json={"lines": lines, **({"coupon": coupon} if coupon else {})})


@pytest.mark.parametrize(
    ("quantities", "total_cents"),
    [
        ({"BK_1": 1}, 900),
        ({"BK_1": 10}, 9000),
        ({"BK_1": 1, "TE_1": 2}, 2300),
        ({"GM_1": 1, "GM_2": 1, "BK_3": 3}, 12400),
    ],
    ids=str,
)
def test_an_order(customer, clerk, quantities, total_cents):
    answer = place(customer, **quantities)
    assert answer.status_code == 201
    assert answer.json["total_cents"] == total_cents
    assert customer.get(f"/orders/{answer.json['id']}").json == answer.json
    for sku, quantity in quantities.items():
        left = clerk.get(f"/stock/{sku.replace('_', '-')}").json["items"]["MAIN"]
        assert left == STOCK - quantity


def test_the_first_order_has_the_first_number(customer):
    assert place(customer, BK_1=1).json["id"] == 1


@pytest.mark.parametrize(
    ("quantities", "status"),
    [
        ({"BK_1": 11}, 409),
        ({"BK_1": 1, "BK_2": 11}, 409),
        ({"XX_1": 1}, 422),
        ({"BK_1": 1, "XX_1": 1}, 422),
        ({"BK_1": 0}, 422),
        ({"BK_1": 100}, 422),
        ({}, 422),
    ],
    ids=str,
)
def test_an_order_that_is_refused_leaves_nothing(customer, quantities, status):
    assert place(customer, **quantities).status_code == status
    for model in (Order, OrderLine, StockMove):
        assert model.select().count() == 0


@pytest.mark.parametrize(
    "lines", [None, "BK-1", [7], [{"sku": "BK-1"}], [{"sku": "BK-1", "quantity": 1, "x": 1}]]
)
def test_lines_that_are_none(customer, lines):
    assert customer.post("/orders", json={"lines": lines}).status_code == 422


@pytest.mark.parametrize(("quantity", "total_cents"), [(1, 810), (3, 2430), (7, 5670)])
def test_a_coupon(customer, quantity, total_cents):
    assert place(customer, "TEN", BK_1=quantity).json["total_cents"] == total_cents
    assert CouponUse.select().count() == 1


def test_a_coupon_is_used_up(customer):
    assert [place(customer, "TEN", BK_1=1).status_code for _ in range(3)] == [201, 201, 422]
    assert (Order.select().count(), CouponUse.select().count()) == (2, 2)


@pytest.mark.parametrize("code", ["ELEVEN", "ten"])
def test_a_coupon_that_is_not_valid(customer, code):
    assert place(customer, code, BK_1=1).status_code == 422
    assert Order.select().count() == 0


@pytest.mark.parametrize(
    ("role", "status"),
    [("customer", 200), ("clerk", 200), ("manager", 200), ("admin", 200), ("anonymous", 401)],
)
def test_who_sees_an_order(actors, order, role, status):
    assert actors[role].get(f"/orders/{order.id}").status_code == status


@pytest.mark.parametrize("path", ["", "/pay", "/cancel"])
def test_the_orders_of_others_do_not_exist(other_customer, order, path):
    call = other_customer.post if path else other_customer.get
    body = {"json": {"method": "card"}} if path else {}
    assert call(f"/orders/{order.id}{path}", **body).status_code == 404
    assert Order.get_by_id(order.id).status == "placed"


def test_customers_list_their_own(customer, other_customer, clerk):
    for client in (customer, other_customer, customer):
        place(client, BK_1=1)
    seen = [client.get("/orders").json["total"] for client in (customer, other_customer, clerk)]
    assert seen == [2, 1, 3]


@pytest.mark.parametrize(("limit", "offset", "wanted"), [(2, 0, [5, 4]), (2, 4, [1]), (9, 5, [])])
def test_the_newest_comes_first(customer, limit, offset, wanted):
    for _ in range(5):
        place(customer, TE_1=1)
    listing = customer.get("/orders", query_string={"limit": limit, "offset": offset}).json
    assert [each["id"] for each in listing["items"]] == wanted
    assert listing["total"] == 5


@pytest.mark.parametrize("status", ["placed", "paid", "shipped", "cancelled"])
def test_orders_of_a_status(manager, customer, status):
    first, second, third, fourth = (place(customer, TE_1=1).json["id"] for _ in range(4))
    for number in (second, third):
        customer.post(f"/orders/{number}/pay", json={"method": "card"})
    manager.post(f"/orders/{third}/ship", json=PARCEL)
    customer.post(f"/orders/{fourth}/cancel", json={})
    listing = manager.get("/orders", query_string={"status": status}).json
    numbers = {"placed": first, "paid": second, "shipped": third, "cancelled": fourth}
    assert [each["id"] for each in listing["items"]] == [numbers[status]]


@pytest.mark.parametrize("method", ["card", "transfer"])
def test_paying(customer, order, method):
    assert (
        customer.post(f"/orders/{order.id}/pay", json={"method": method}).json["status"] == "paid"
    )
    payment, invoice = Payment.get(), Invoice.get()
    assert (payment.method, payment.amount_cents) == (method, order.total_cents)
    assert (invoice.number, invoice.total_cents) == ("INV-000001", order.total_cents)


@pytest.mark.parametrize("method", ["cash", "", None])
def test_a_method_that_is_not_known(customer, order, method):
    answer = customer.post(f"/orders/{order.id}/pay", json={"method": method})
    assert answer.status_code == 422
    assert Payment.select().count() == 0


STEPS = {
    "pay": {"method": "card"},
    "ship": PARCEL,
    "cancel": {},
}


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        (("ship",), "placed"),
        (("pay", "pay"), "paid"),
        (("pay", "ship", "ship"), "shipped"),
        (("pay", "ship", "pay"), "shipped"),
        (("pay", "ship", "cancel"), "shipped"),
        (("cancel", "pay"), "cancelled"),
        (("cancel", "cancel"), "cancelled"),
        (("pay", "cancel", "ship"), "cancelled"),
    ],
    ids="-".join,
)
def test_a_step_that_cannot_be_taken(manager, order, steps, status):
    answers = [manager.post(f"/orders/{order.id}/{step}", json=STEPS[step]) for step in steps]
    assert [answer.status_code for answer in answers] == [200] * (len(steps) - 1) + [409]
    assert Order.get_by_id(order.id).status == status
    assert Payment.select().count() == (1 if "pay" in steps and steps[0] == "pay" else 0)


def test_shipping(manager, order):
    manager.post(f"/orders/{order.id}/pay", json={"method": "card"})
    assert manager.post(f"/orders/{order.id}/ship", json=PARCEL).json["status"] == "shipped"
    assert [(each.order_id, each.tracking) for each in Shipment.select()] == [(order.id, "P-1")]


def test_two_parcels_with_one_number(manager, customer):
    numbers = [place(customer, TE_1=1).json["id"] for _ in range(2)]
    for number in numbers:
        customer.post(f"/orders/{number}/pay", json={"method": "card"})
    statuses = [manager.post(f"/orders/{n}/ship", json=PARCEL).status_code for n in numbers]
    assert statuses == [200, 409]
    assert Order.get_by_id(numbers[1]).status == "paid"


@pytest.mark.parametrize("is_paid", [False, True])
def test_cancelling(customer, clerk, is_paid):
    order = place(customer, BK_1=4, TE_1=1).json
    if is_paid:
        customer.post(f"/orders/{order['id']}/pay", json={"method": "card"})
    assert customer.post(f"/orders/{order['id']}/cancel", json={}).json["status"] == "cancelled"
    for sku in PRODUCTS:
        assert clerk.get(f"/stock/{sku}").json == {"items": {"MAIN": STOCK}}
    refunds = [refund.amount_cents for refund in Refund.select()]
    assert refunds == ([order["total_cents"]] if is_paid else [])
