"""Orders, and what becomes of them."""

from datetime import datetime

from peewee import CharField, DateTimeField, ForeignKeyField, IntegerField, TextField

from app.database import BaseModel
from app.models.accounts import User
from app.models.catalogue import Product


class Coupon(BaseModel):
    code = CharField(max_length=20, unique=True)
    percent = IntegerField()
    uses_left = IntegerField(default=1)


class Order(BaseModel):
    customer = ForeignKeyField(User, backref="orders")
    status = CharField(max_length=12, default="placed", index=True)
    total_cents = IntegerField(default=0)
    placed_at = DateTimeField(default=datetime.now, index=True)


class OrderLine(BaseModel):
    order = ForeignKeyField(Order, backref="lines", on_delete="CASCADE")
    product = ForeignKeyField(Product, backref="lines")
    quantity = IntegerField()
    unit_cents = IntegerField()

    class Meta:
        indexes = ((("order", "product"), True),)


class CouponUse(BaseModel):
    coupon = ForeignKeyField(Coupon, backref="uses")
    order = ForeignKeyField(Order, backref="coupon_uses", unique=True, on_delete="CASCADE")


class Payment(BaseModel):
    order = ForeignKeyField(Order, backref="payments")
    method = CharField(max_length=20)
    amount_cents = IntegerField()
    at = DateTimeField(default=datetime.now)


class Refund(BaseModel):
    payment = ForeignKeyField(Payment, backref="refunds")
    amount_cents = IntegerField()
    reason = CharField(max_length=80, default="")


class Shipment(BaseModel):
    order = ForeignKeyField(Order, backref="shipments")
    carrier = CharField(max_length=20)
    tracking = CharField(max_length=40, unique=True)


class Invoice(BaseModel):
    order = ForeignKeyField(Order, backref="invoices", unique=True)
    number = CharField(max_length=20, unique=True)
    total_cents = IntegerField()


class OrderNote(BaseModel):
    order = ForeignKeyField(Order, backref="notes", on_delete="CASCADE")
    author = ForeignKeyField(User, backref="notes")
    text = TextField()
    at = DateTimeField(default=datetime.now)
