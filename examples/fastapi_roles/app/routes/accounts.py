"""Logging in, one's own profile, users, roles and the audit trail."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import CurrentUser, Paged, Session, may, note
from app.models import AuditEntry, Role, User
from app.schemas import (
    AuditOut,
    Credentials,
    Listing,
    ProfileChange,
    RoleOut,
    Token,
    UserChange,
    UserIn,
    UserOut,
)
from app.security import hash_password, issue_token, password_matches

router = APIRouter()
UserReader = Annotated[User, Depends(may("users:read"))]
UserWriter = Annotated[User, Depends(may("users:write"))]
AuditReader = Annotated[User, Depends(may("audit:read"))]


@router.post("/token")
async def log_in(credentials: Credentials, session: Session) -> Token:
    user = await session.scalar(select(User).where(User.username == credentials.username))
    if user is None or not password_matches(credentials.password, user.password_hash):
        raise HTTPException(401, "wrong user name or password")
    if not user.active:
        raise HTTPException(401, "this account is not active")
    return Token(token=issue_token(user.username))


@router.get("/me", response_model=UserOut)
async def own_profile(user: CurrentUser) -> User:
    return user


@router.patch("/me", response_model=UserOut)
async def change_own_profile(change: ProfileChange, user: CurrentUser, session: Session) -> User:
    apply(change, user)
    await commit(session)
    return user


@router.get("/roles", response_model=list[RoleOut])
async def list_roles(_: CurrentUser, session: Session) -> list[Role]:
    return list(await session.scalars(select(Role).order_by(Role.name)))


@router.get("/users", response_model=Listing[UserOut])
async def list_users(
    _: UserReader, session: Session, page: Paged, role: str | None = None
) -> dict[str, object]:
    query = select(User).order_by(User.username)
    if role is not None:
        query = query.join(Role).where(Role.name == role)
    total = await session.scalar(select(func.count()).select_from(query.subquery()))
    users = await session.scalars(query.limit(page.limit).offset(page.offset))
    return {"total": total, "items": users.all()}


@router.post("/users", status_code=201, response_model=UserOut)
async def create_user(new: UserIn, admin: UserWriter, session: Session) -> User:
    user = User(
        username=new.username,
        email=new.email,
        full_name=new.full_name,
        password_hash=hash_password(new.password),
        active=True,
        role=await role_named(new.role, session),
    )
    session.add(user)
    note(session, admin, "user.create", new.username)
    await commit(session)
    return user


@router.get("/users/{user_id}", response_model=UserOut)
async def read_user(user_id: int, _: UserReader, session: Session) -> User:
    return await user_with(user_id, session)


@router.patch("/users/{user_id}", response_model=UserOut)
async def change_user(
    user_id: int, change: UserChange, admin: UserWriter, session: Session
) -> User:
    user = await user_with(user_id, session)
    apply(change, user)
    if change.role is not None:
        user.role = await role_named(change.role, session)
    if change.active is not None:
        user.active = change.active
    note(session, admin, "user.change", user.username)
    await commit(session)
    return user


@router.delete("/users/{user_id}", status_code=204)
async def delete_user(user_id: int, admin: UserWriter, session: Session) -> None:
    user = await user_with(user_id, session)
    if user.id == admin.id:
        raise HTTPException(409, "nobody deletes their own account")
    note(session, admin, "user.delete", user.username)
    await session.delete(user)
    await commit(session)


@router.get("/audit", response_model=Listing[AuditOut])
async def list_audit(
    _: AuditReader, session: Session, page: Paged, action: str | None = None
) -> dict[str, object]:
    query = select(AuditEntry).order_by(AuditEntry.id)
    if action is not None:
        query = query.where(AuditEntry.action == action)
    total = await session.scalar(select(func.count()).select_from(query.subquery()))
    entries = await session.scalars(query.limit(page.limit).offset(page.offset))
    return {"total": total, "items": entries.all()}


def apply(change: ProfileChange, user: User) -> None:
    if change.email is not None:
        user.email = change.email
    if change.full_name is not None:
        user.full_name = change.full_name
    if change.password is not None:
        user.password_hash = hash_password(change.password)


async def commit(session: AsyncSession) -> None:
    try:
        await session.commit()
    except IntegrityError as error:
        await session.rollback()
        raise HTTPException(409, "taken, or still in use") from error


async def user_with(user_id: int, session: AsyncSession) -> User:
    user = await session.get(User, user_id)
    if user is None:
        raise HTTPException(404, "no such user")
    return user


async def role_named(name: str, session: AsyncSession) -> Role:
    role = await session.scalar(select(Role).where(Role.name == name))
    if role is None:
        raise HTTPException(422, f"no role is called {name}")
    return role
