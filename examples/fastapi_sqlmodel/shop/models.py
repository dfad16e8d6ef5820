"""The tables."""

from datetime import datetime, timezone
from enum import Enum
from typing import Any

from sqlmodel import JSON, CheckConstraint, Field, Relationship, SQLModel, UniqueConstraint


def now() -> datetime:
    return datetime.now(timezone.utc)


class User(SQLModel, table=True):
    __tablename__ = "users"

    id: int | None = Field(default=None, primary_key=True)
    email: str = Field(unique=True, max_length=120)
    name: str = Field(max_length=60)
    password_hash: str = Field(max_length=200)
    joined_at: datetime = Field(default_factory=now)
    orders: list["Order"] = Relationship(back_populates="user")


class Login(SQLModel, table=True):
    """One open login; its key is the bearer token."""

    __tablename__ = "logins"

    token: str = Field(primary_key=True, max_length=60)
    user_id: int = Field(foreign_key="users.id", index=True)


class Address(SQLModel, table=True):
    __tablename__ = "addresses"

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="users.id", index=True)
    street: str = Field(max_length=60)
    city: str = Field(max_length=60)


class Product(SQLModel, table=True):
    __tablename__ = "products"
    __table_args__ = (CheckConstraint("stock >= 0"),)

    id: int | None = Field(default=None, primary_key=True)
    sku: str = Field(unique=True, max_length=20)
    name: str = Field(max_length=60)
    price_cents: int
    stock: int
    details: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)


class OrderStatus(str, Enum):
    OPEN = "open"
    PAID = "paid"
    CANCELLED = "cancelled"


class Order(SQLModel, table=True):
    __tablename__ = "orders"

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="users.id", index=True)
    status: OrderStatus = OrderStatus.OPEN
    placed_at: datetime = Field(default_factory=now)
    user: User = Relationship(back_populates="orders")
    lines: list["OrderLine"] = Relationship(back_populates="order", cascade_delete=True)


class OrderLine(SQLModel, table=True):
    __tablename__ = "order_lines"
    __table_args__ = (UniqueConstraint("order_id", "product_id"),)

    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(foreign_key="orders.id", ondelete="CASCADE")
    product_id: int = Field(foreign_key="products.id", index=True)
    quantity: int
    price_cents: int
    order: Order = Relationship(back_populates="lines")
    product: Product = Relationship()


class Review(SQLModel, table=True):
    __tablename__ = "reviews"
    __table_args__ = (
        UniqueConstraint("user_id", "product_id"),
        CheckConstraint("stars between 1 and 5"),
    )

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="users.id")
    product_id: int = Field(foreign_key="products.id", index=True)
    stars: int
    text: str = Field(default="", max_length=200)
