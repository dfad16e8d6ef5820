import pytest

from app.models import Review


@pytest.mark.parametrize("stars", [1, 5])
def test_a_review(customer, anonymous, stars):
    answer = customer.post("/products/BK-1/reviews", json={"stars": stars, "text": "Read it."})
    assert answer.status_code == 201
    assert anonymous.get("/products/BK-1/reviews").json == {"items": [answer.json], "total": 1}
    assert anonymous.get("/products/BK-1").json["stars"] == stars


@pytest.mark.parametrize(
    "bad",
    [{"stars": 0}, {"stars": 6}, {"stars": 4.5}, {"stars": "five"}, {}, {"stars": 5, "text": 5}],
    ids=str,
)
def test_a_review_that_is_refused(customer, bad):
    assert customer.post("/products/BK-1/reviews", json=bad).status_code == 422
    assert Review.select().count() == 0


def test_one_review_each(customer, other_customer):
    statuses = [
        client.post("/products/BK-1/reviews", json={"stars": 3}).status_code
        for client in (customer, other_customer, customer)
    ]
    assert statuses == [201, 201, 409]
    assert Review.select().count() == 2


def test_stars_are_an_average(customer, other_customer, manager, anonymous):
    for client, stars in ((customer, 5), (other_customer, 4), (manager, 3)):
        client.post("/products/BK-2/reviews", json={"stars": stars})
    assert anonymous.get("/products/BK-2").json["stars"] == 4.0
    assert anonymous.get("/products/BK-1").json["stars"] is None


@pytest.mark.parametrize(
    ("role", "status"),
    [("customer", 204), ("manager", 204), ("admin", 204), ("clerk", 403), ("anonymous", 401)],
)
def test_who_deletes_a_review(actors, role, status):
    number = actors["customer"].post("/products/BK-1/reviews", json={"stars": 1}).json["id"]
    assert actors[role].delete(f"/products/BK-1/reviews/{number}").status_code == status
    assert Review.select().count() == (0 if status == 204 else 1)


def test_a_review_of_another_product(customer):
    number = customer.post("/products/BK-1/reviews", json={"stars": 1}).json["id"]
    assert customer.delete(f"/products/BK-2/reviews/{number}").status_code == 404


def test_reviews_go_with_their_product(customer, manager):
    customer.post("/products/TE-2/reviews", json={"stars": 1})
    manager.delete("/products/TE-2")
    assert Review.select().count() == 0
