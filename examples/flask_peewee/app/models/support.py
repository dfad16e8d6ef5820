"""What customers ask, and what they want to hear."""

from datetime import datetime

from peewee import CharField, DateTimeField, ForeignKeyField, TextField

from app.database import BaseModel
from app.models.accounts import User


class Ticket(BaseModel):
    customer = ForeignKeyField(User, backref="tickets")
    subject = CharField(max_length=120)
    status = CharField(max_length=12, default="open", index=True)


class TicketMessage(BaseModel):
    ticket = ForeignKeyField(Ticket, backref="messages", on_delete="CASCADE")
    author = ForeignKeyField(User, backref="messages")
    text = TextField()
    at = DateTimeField(default=datetime.now)


class Newsletter(BaseModel):
    name = CharField(max_length=40, unique=True)


class Subscription(BaseModel):
    newsletter = ForeignKeyField(Newsletter, backref="subscriptions", on_delete="CASCADE")
    user = ForeignKeyField(User, backref="subscriptions", on_delete="CASCADE")

    class Meta:
        indexes = ((("newsletter", "user"), True),)
