"""Clients for everybody. Nothing here knows how a database is made."""

import pytest

from app.main import create_app
from app.models import Order, OrderLine, Product, User
from app.security import issue_token


@pytest.fixture(scope="session")
def app():
    return create_app()


def client_of(username):
    @pytest.fixture
    def client(app):
        client = app.test_client()
        if username:
            client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {issue_token(username)}"
        return client

    return client


anonymous = client_of(None)
admin = client_of("ada")
manager = client_of("max")
clerk = client_of("cleo")
customer = client_of("cora")
other_customer = client_of("carl")


@pytest.fixture
def actors(anonymous, admin, manager, clerk, customer):
    return {
        "anonymous": anonymous,
        "admin": admin,
        "manager": manager,
        "clerk": clerk,
        "customer": customer,
    }


@pytest.fixture
def ids():
    """User name to id."""
    return {user.username: user.id for user in User.select()}


@pytest.fixture
def order():
    """The customer's order: two books, placed and not paid."""
    order = Order.create(customer=User.get(User.username == "cora"), total_cents=1800)
    book = Product.get(Product.sku == "BK-1")
    OrderLine.create(order=order, product=book, quantity=2, unit_cents=900)
    return order
