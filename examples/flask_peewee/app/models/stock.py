"""What is there to be sold, and where."""

from datetime import datetime

from peewee import CharField, Check, DateTimeField, ForeignKeyField, IntegerField

from app.database import BaseModel
from app.models.catalogue import Product


class Warehouse(BaseModel):
    code = CharField(max_length=10, unique=True)
    name = CharField(max_length=80)


class StockLevel(BaseModel):
    warehouse = ForeignKeyField(Warehouse, backref="levels")
    product = ForeignKeyField(Product, backref="levels", on_delete="CASCADE")
    amount = IntegerField(default=0, constraints=[Check("amount >= 0")])

    class Meta:
        indexes = ((("warehouse", "product"), True),)


class StockMove(BaseModel):
    warehouse = ForeignKeyField(Warehouse, backref="moves")
    product = ForeignKeyField(Product, backref="moves", on_delete="CASCADE")
    change = IntegerField()
    reason = CharField(max_length=40)
    at = DateTimeField(default=datetime.now, index=True)
