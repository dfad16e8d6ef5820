"""Factories: the same test makes the same data on every machine and in every order."""

import factory

from shop.models import Address, Order, OrderLine, User
from shop.passwords import hash_password

PASSWORD = "correct horse"


class Saved(factory.alchemy.SQLAlchemyModelFactory):
    """Saves what it makes through the session that the test's fixture gives it."""

    class Meta:
        abstract = True
        sqlalchemy_session_persistence = "commit"


class UserFactory(Saved):
    class Meta:
        model = User

    name = factory.Faker("name")
    email = factory.Faker("email")
    password_hash = factory.LazyFunction(lambda: hash_password(PASSWORD))


class AddressFactory(Saved):
    class Meta:
        model = Address

    street = factory.Faker("street_address")
    city = factory.Faker("city")


class OrderFactory(Saved):
    class Meta:
        model = Order


class OrderLineFactory(Saved):
    class Meta:
        model = OrderLine

    quantity = factory.Faker("random_int", min=1, max=5)
    price_cents = factory.Faker("random_int", min=100, max=9900)


ALL = (UserFactory, AddressFactory, OrderFactory, OrderLineFactory)
