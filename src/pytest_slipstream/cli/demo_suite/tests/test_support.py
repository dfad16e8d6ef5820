"""Complaints become tickets, whole or not at all."""

from __future__ import annotations

import pytest
from shop.models import Customer, Message, Ticket
from shop.services import ShopError, complain
from sqlalchemy import func, select
from sqlalchemy.orm import Session


@pytest.mark.parametrize("count", range(1, 17))
def test_every_message_is_kept(session: Session, ada: Customer, count: int) -> None:
    ticket = complain(session, ada, "It squeaks", [f"Message {n}" for n in range(count)])
    texts = session.scalars(select(Message.text).where(Message.ticket_id == ticket.id)).all()
    assert ticket.is_open
    assert len(texts) == count


@pytest.mark.parametrize("empty", range(10))
def test_an_empty_message_undoes_the_ticket(session: Session, ada: Customer, empty: int) -> None:
    texts = ["Still squeaks"] * 10
    texts[empty] = ""
    with pytest.raises(ShopError, match="empty"):
        complain(session, ada, "It squeaks", texts)
    for table in (Ticket, Message):
        assert session.scalar(select(func.count()).select_from(table)) == 0
