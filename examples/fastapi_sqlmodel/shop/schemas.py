"""What comes in and goes out."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shop.models import OrderStatus

Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
Name = Annotated[str, Field(min_length=1, max_length=60)]
Password = Annotated[str, Field(min_length=8, max_length=64)]


class Row(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class SignUp(BaseModel):
    email: Email
    name: Name
    password: Password


class Credentials(BaseModel):
    email: str
    password: str


class Token(BaseModel):
    token: str


class UserOut(Row):
    id: int
    email: str
    name: str


class ProfileChange(BaseModel):
    email: Email | None = None
    name: Name | None = None


class AddressIn(BaseModel):
    street: Name
    city: Name


class AddressOut(Row):
    id: int
    street: str
    city: str


class ProductOut(Row):
    sku: str
    name: str
    price_cents: int
    stock: int


class LineIn(BaseModel):
    sku: str
    quantity: Annotated[int, Field(ge=1, le=50)]


class OrderIn(BaseModel):
    lines: Annotated[list[LineIn], Field(min_length=1, max_length=10)]


class LineOut(Row):
    product: ProductOut
    quantity: int
    price_cents: int


class OrderOut(Row):
    id: int
    status: OrderStatus
    lines: list[LineOut]
    total_cents: int


class ReviewIn(BaseModel):
    stars: Annotated[int, Field(ge=1, le=5)]
    text: Annotated[str, Field(max_length=200)] = ""


class ReviewOut(Row):
    stars: int
    text: str
