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


class Warehouse(Base):
    __tablename__ = "warehouse"
    city: Mapped[str] = mapped_column(unique=True)


class Stock(Base):
    __tablename__ = "stock"
    __table_args__ = (UniqueConstraint("product_id", "warehouse_id"),)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    warehouse_id: Mapped[int] = mapped_column(ForeignKey("warehouse.id"))
    pieces: Mapped[int] = mapped_column(CheckConstraint("pieces >= 0"))


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
