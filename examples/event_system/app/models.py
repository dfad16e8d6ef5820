"""The tables."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Article(Base):
    __tablename__ = "article"
    name: Mapped[str] = mapped_column(primary_key=True)
    free: Mapped[int]


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(unique=True)
    article: Mapped[str]
    quantity: Mapped[int]
    status: Mapped[str] = mapped_column(default="placed")


class Handled(Base):
    """The messages that were handled: one that is delivered twice is known by its key."""

    __tablename__ = "handled"
    key: Mapped[str] = mapped_column(primary_key=True)


class DeadLetter(Base):
    __tablename__ = "dead_letter"
    key: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]


class Mail(Base):
    __tablename__ = "mail"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    subject: Mapped[str]
