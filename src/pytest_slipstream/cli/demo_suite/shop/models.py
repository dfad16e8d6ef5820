"""The shop's tables. Amounts are in cents."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """What every table has: a number of its own."""

    id: Mapped[int] = mapped_column(primary_key=True)


class Country(Base):
    __tablename__ = "country"
    code: Mapped[str] = mapped_column(unique=True)
    tax_percent: Mapped[int]


class Customer(Base):
    __tablename__ = "customer"
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    country_id: Mapped[int] = mapped_column(ForeignKey("country.id"))
    country: Mapped[Country] = relationship()


class Address(Base):
    __tablename__ = "address"
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    street: Mapped[str]
    city: Mapped[str]


class Category(Base):
    __tablename__ = "category"
    name: Mapped[str] = mapped_column(unique=True)


class Product(Base):
    __tablename__ = "product"
    sku: Mapped[str] = mapped_column(unique=True)
    title: Mapped[str] = mapped_column(index=True)
    price: Mapped[int] = mapped_column(CheckConstraint("price > 0"))
    category_id: Mapped[int] = mapped_column(ForeignKey("category.id"), index=True)
    category: Mapped[Category] = relationship()


class Tag(Base):
    __tablename__ = "tag"
    word: Mapped[str] = mapped_column(unique=True)


class ProductTag(Base):
    __tablename__ = "product_tag"
    __table_args__ = (UniqueConstraint("product_id", "tag_id"),)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    tag_id: Mapped[int] = mapped_column(ForeignKey("tag.id"))


class Supplier(Base):
    __tablename__ = "supplier"
    name: Mapped[str] = mapped_column(unique=True)
    country_id: Mapped[int] = mapped_column(ForeignKey("country.id"))


class Purchase(Base):
    __tablename__ = "purchase"
    supplier_id: Mapped[int] = mapped_column(ForeignKey("supplier.id"), index=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    pieces: Mapped[int]


class Warehouse(Base):
    __tablename__ = "warehouse"
    city: Mapped[str] = mapped_column(unique=True)


class Stock(Base):
    __tablename__ = "stock"
    __table_args__ = (UniqueConstraint("product_id", "warehouse_id"),)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    warehouse_id: Mapped[int] = mapped_column(ForeignKey("warehouse.id"))
    pieces: Mapped[int] = mapped_column(CheckConstraint("pieces >= 0"))


class Wish(Base):
    __tablename__ = "wish"
    __table_args__ = (UniqueConstraint("customer_id", "product_id"),)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))


class Coupon(Base):
    __tablename__ = "coupon"
    code: Mapped[str] = mapped_column(unique=True)
    percent: Mapped[int]
    uses_left: Mapped[int]


class Order(Base):
    __tablename__ = "order"
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    coupon_id: Mapped[int | None] = mapped_column(ForeignKey("coupon.id"))
    state: Mapped[str] = mapped_column(default="placed", index=True)
    total: Mapped[int]
    lines: Mapped[list[OrderLine]] = relationship(back_populates="order")


class OrderLine(Base):
    __tablename__ = "order_line"
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), index=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    pieces: Mapped[int]
    price: Mapped[int]
    order: Mapped[Order] = relationship(back_populates="lines")
    product: Mapped[Product] = relationship()


class Payment(Base):
    __tablename__ = "payment"
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), index=True)
    amount: Mapped[int]


class Refund(Base):
    __tablename__ = "refund"
    payment_id: Mapped[int] = mapped_column(ForeignKey("payment.id"), unique=True)
    reason: Mapped[str]


class Shipment(Base):
    __tablename__ = "shipment"
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), unique=True)
    warehouse_id: Mapped[int] = mapped_column(ForeignKey("warehouse.id"))


class Review(Base):
    __tablename__ = "review"
    __table_args__ = (UniqueConstraint("product_id", "customer_id"),)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    stars: Mapped[int] = mapped_column(CheckConstraint("stars BETWEEN 1 AND 5"))


class Ticket(Base):
    __tablename__ = "ticket"
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    order_id: Mapped[int | None] = mapped_column(ForeignKey("order.id"))
    subject: Mapped[str]
    is_open: Mapped[bool] = mapped_column(default=True)


class Message(Base):
    __tablename__ = "message"
    ticket_id: Mapped[int] = mapped_column(ForeignKey("ticket.id"), index=True)
    text: Mapped[str]


class Staff(Base):
    __tablename__ = "staff"
    email: Mapped[str] = mapped_column(unique=True)
    warehouse_id: Mapped[int | None] = mapped_column(ForeignKey("warehouse.id"))


class Duty(Base):
    __tablename__ = "duty"
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), index=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("ticket.id"), unique=True)
