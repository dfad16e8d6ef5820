"""What is sold."""

from datetime import datetime

from peewee import BooleanField, CharField, DateTimeField, ForeignKeyField, IntegerField, TextField

from app.database import BaseModel
from app.models.accounts import User


class Category(BaseModel):
    name = CharField(max_length=40, unique=True)
    parent = ForeignKeyField("self", backref="children", null=True)


class Supplier(BaseModel):
    name = CharField(max_length=80, unique=True)
    email = CharField(max_length=120)


class Product(BaseModel):
    sku = CharField(max_length=20, unique=True)
    name = CharField(max_length=80, index=True)
    description = TextField(default="")
    category = ForeignKeyField(Category, backref="products")
    supplier = ForeignKeyField(Supplier, backref="products", null=True)
    price_cents = IntegerField()
    active = BooleanField(default=True)


class ProductImage(BaseModel):
    product = ForeignKeyField(Product, backref="images", on_delete="CASCADE")
    url = CharField(max_length=200)
    position = IntegerField(default=0)


class Tag(BaseModel):
    name = CharField(max_length=30, unique=True)


class ProductTag(BaseModel):
    product = ForeignKeyField(Product, backref="tagged", on_delete="CASCADE")
    tag = ForeignKeyField(Tag, backref="tagged", on_delete="CASCADE")

    class Meta:
        indexes = ((("product", "tag"), True),)


class PriceChange(BaseModel):
    product = ForeignKeyField(Product, backref="price_changes", on_delete="CASCADE")
    old_cents = IntegerField()
    new_cents = IntegerField()
    at = DateTimeField(default=datetime.now)


class Review(BaseModel):
    product = ForeignKeyField(Product, backref="reviews", on_delete="CASCADE")
    author = ForeignKeyField(User, backref="reviews")
    stars = IntegerField()
    text = TextField(default="")

    class Meta:
        indexes = ((("product", "author"), True),)
