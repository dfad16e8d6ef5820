import pytest

from tests.factories import AddressFactory

HOME = {"street": "1 Tea Lane", "city": "Uji"}


def test_there_is_no_address_at_first(shopper):
    assert shopper.get("/me/addresses").json() == []


@pytest.mark.parametrize("count", [1, 2, 4])
def test_addresses_keep_their_order(shopper, count):
    for number in range(count):
        shopper.post("/me/addresses", json={**HOME, "street": f"{number} Tea Lane"})
    streets = [address["street"] for address in shopper.get("/me/addresses").json()]
    assert streets == [f"{number} Tea Lane" for number in range(count)]


@pytest.mark.parametrize(
    "bad", [{"street": ""}, {"city": ""}, {"street": None}, {"city": "x" * 61}], ids=str
)
def test_an_invalid_address_is_refused(shopper, bad):
    assert shopper.post("/me/addresses", json={**HOME, **bad}).status_code == 422
    assert shopper.get("/me/addresses").json() == []


def test_an_address_is_removed(shopper, user):
    first, second = AddressFactory.create_batch(2, user_id=user.id)
    assert shopper.delete(f"/me/addresses/{first.id}").status_code == 204
    assert [address["id"] for address in shopper.get("/me/addresses").json()] == [second.id]


def test_anothers_address_is_not_found(shopper, stranger, user):
    address = AddressFactory(user_id=user.id)
    assert stranger.delete(f"/me/addresses/{address.id}").status_code == 404
    assert len(shopper.get("/me/addresses").json()) == 1


def test_an_address_that_never_was_is_not_found(shopper):
    assert shopper.delete("/me/addresses/999").status_code == 404
