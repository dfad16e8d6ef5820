"""Signing up, logging in and out, the profile and its addresses."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Header, HTTPException
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from shop.database import SessionOfRequest
from shop.models import Address, Login, User
from shop.passwords import hash_password, password_matches
from shop.schemas import (
    AddressIn,
    AddressOut,
    Credentials,
    ProfileChange,
    SignUp,
    Token,
    UserOut,
)

router = APIRouter()


def current_login(session: SessionOfRequest, authorization: Annotated[str, Header()] = "") -> Login:
    """The open login whose token came with the request."""
    login = session.get(Login, authorization.removeprefix("Bearer "))
    if login is None:
        raise HTTPException(401, "log in first")
    return login


CurrentLogin = Annotated[Login, Depends(current_login)]


def current_user(session: SessionOfRequest, login: CurrentLogin) -> User:
    return session.get_one(User, login.user_id)


CurrentUser = Annotated[User, Depends(current_user)]


@router.post("/users", status_code=201, response_model=UserOut)
def sign_up(new: SignUp, session: SessionOfRequest) -> User:
    user = User(email=new.email, name=new.name, password_hash=hash_password(new.password))
    session.add(user)
    commit(session)
    return user


@router.post("/logins", status_code=201)
def log_in(credentials: Credentials, session: SessionOfRequest) -> Token:
    user = session.exec(select(User).where(User.email == credentials.email)).first()
    if user is None or not password_matches(credentials.password, user.password_hash):
        raise HTTPException(401, "wrong address or password")
    token = secrets.token_urlsafe(16)
    session.add(Login(token=token, user_id=user.id))
    session.commit()
    return Token(token=token)


@router.delete("/logins", status_code=204)
def log_out(session: SessionOfRequest, login: CurrentLogin) -> None:
    session.delete(login)
    session.commit()


@router.get("/me", response_model=UserOut)
def read_profile(user: CurrentUser) -> User:
    return user


@router.patch("/me", response_model=UserOut)
def change_profile(change: ProfileChange, user: CurrentUser, session: SessionOfRequest) -> User:
    user.sqlmodel_update(change.model_dump(exclude_none=True))
    session.add(user)
    commit(session)
    return user


@router.get("/me/addresses", response_model=list[AddressOut])
def list_addresses(user: CurrentUser, session: SessionOfRequest) -> list[Address]:
    query = select(Address).where(Address.user_id == user.id).order_by(Address.id)
    return list(session.exec(query))


@router.post("/me/addresses", status_code=201, response_model=AddressOut)
def add_address(new: AddressIn, user: CurrentUser, session: SessionOfRequest) -> Address:
    address = Address(user_id=user.id, **new.model_dump())
    session.add(address)
    session.commit()
    return address


@router.delete("/me/addresses/{address_id}", status_code=204)
def remove_address(address_id: int, user: CurrentUser, session: SessionOfRequest) -> None:
    address = session.get(Address, address_id)
    if address is None or address.user_id != user.id:
        raise HTTPException(404, "no such address")
    session.delete(address)
    session.commit()


def commit(session: SessionOfRequest) -> None:
    try:
        session.commit()
    except IntegrityError as error:
        session.rollback()
        raise HTTPException(409, "this address is registered already") from error
