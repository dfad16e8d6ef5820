"""What only the product of production can tell: all of it runs on the lane `real`."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel import Session, func, select

from shop.models import Login, Order, OrderLine, Product
from tests.factories import OrderFactory, OrderLineFactory

pytestmark = pytest.mark.e2e

PARENT_IS_REFERENCED = 1451
PARENT_IS_MISSING = 1452
ROW_IS_LOCKED = 1205


@pytest.fixture
def engine(app):
    return app.state.engine


def order_of_tea(user, session):
    tea = session.exec(select(Product).where(Product.sku == "tea")).one()
    order = OrderFactory(user_id=user.id)
    OrderLineFactory(order_id=order.id, product_id=tea.id)
    return order


def test_this_is_the_product_of_production(engine):
    assert engine.dialect.name == "mysql"


def test_a_user_with_orders_cannot_be_deleted(user, session):
    order_of_tea(user, session)
    with pytest.raises(IntegrityError) as refused:
        session.connection().execute(text("DELETE FROM users"))
    assert refused.value.orig.args[0] == PARENT_IS_REFERENCED


def test_a_login_needs_a_user(session, factories):
    session.add(Login(token="nobody's", user_id=4711))
    with pytest.raises(IntegrityError) as refused:
        session.commit()
    assert refused.value.orig.args[0] == PARENT_IS_MISSING


def test_lines_go_with_their_order(user, session):
    order = order_of_tea(user, session)
    session.connection().execute(text("DELETE FROM orders WHERE id = :id"), {"id": order.id})
    session.commit()
    assert session.exec(select(func.count(OrderLine.id))).one() == 0


def test_a_transaction_sees_what_it_saw_first(engine, user):
    """REPEATABLE READ, between two connections."""
    count = select(func.count(Order.id))
    with Session(engine) as reader, Session(engine) as writer:
        assert reader.exec(count).one() == 0
        writer.add(Order(user_id=user.id))
        writer.commit()
        assert reader.exec(count).one() == 0
        reader.rollback()
        assert reader.exec(count).one() == 1


def test_a_locked_product_is_not_sold_twice(engine):
    tea = select(Product).where(Product.sku == "tea")
    with Session(engine) as first, Session(engine) as second:
        first.exec(tea.with_for_update()).one().stock -= 1
        with pytest.raises(OperationalError) as refused:
            second.exec(tea.with_for_update(nowait=True)).one()
        assert refused.value.orig.args[0] == ROW_IS_LOCKED
        first.commit()
        second.rollback()
        assert second.exec(tea.with_for_update(nowait=True)).one().stock == 99


@pytest.mark.parametrize(("country", "skus"), [("Japan", ["pot", "tea"]), ("Peru", [])])
def test_products_are_found_by_where_they_come_from(client, country, skus):
    answer = client.get("/products", params={"country": country})
    assert [product["sku"] for product in answer.json()] == skus


def test_a_part_of_the_details_is_changed_by_the_server(session, factories):
    change = "UPDATE products SET details = JSON_SET(details, '$.origin.town', 'Uji')"
    session.connection().execute(text(f"{change} WHERE sku = 'tea'"))
    session.commit()
    tea = session.exec(select(Product).where(Product.sku == "tea")).one()
    assert tea.details == {"organic": True, "origin": {"country": "Japan", "town": "Uji"}}
