"""What plain SQLite takes and MySQL refuses: strict SQLite refuses it too."""

import pytest
from sqlalchemy.exc import DataError, IntegrityError

from shop.models import User

on_both = pytest.mark.parametrize("lane", ["fast", pytest.param("real", marks=pytest.mark.e2e)])


@on_both
def test_an_address_is_taken_in_capitals_too(session, user, lane):
    session.add(User(email=user.email.upper(), name="Someone else", password_hash="x"))
    with pytest.raises(IntegrityError):
        session.commit()


@on_both
def test_a_name_has_sixty_characters_at_most(session, factories, lane):
    session.add(User(email="someone@example.org", name="n" * 61, password_hash="x"))
    with pytest.raises((IntegrityError, DataError)):
        session.commit()
