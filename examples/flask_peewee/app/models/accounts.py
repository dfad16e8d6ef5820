"""People, what they may do, and what they did."""

from datetime import datetime

from peewee import BooleanField, CharField, DateTimeField, ForeignKeyField, TextField

from app.database import BaseModel


class Permission(BaseModel):
    name = CharField(max_length=40, unique=True)


class Role(BaseModel):
    name = CharField(max_length=20, unique=True)


class RolePermission(BaseModel):
    role = ForeignKeyField(Role, backref="granted", on_delete="CASCADE")
    permission = ForeignKeyField(Permission, on_delete="CASCADE")

    class Meta:
        indexes = ((("role", "permission"), True),)


class User(BaseModel):
    username = CharField(max_length=20, unique=True)
    email = CharField(max_length=120, unique=True)
    full_name = CharField(max_length=80, default="")
    password_hash = CharField(max_length=200)
    active = BooleanField(default=True)
    role = ForeignKeyField(Role, backref="users")
    created_at = DateTimeField(default=datetime.now)


class Address(BaseModel):
    user = ForeignKeyField(User, backref="addresses", on_delete="CASCADE")
    street = CharField(max_length=80)
    city = CharField(max_length=60)
    country = CharField(max_length=2)


class Preference(BaseModel):
    user = ForeignKeyField(User, backref="preferences", on_delete="CASCADE")
    key = CharField(max_length=40)
    value = TextField()

    class Meta:
        indexes = ((("user", "key"), True),)


class LoginAttempt(BaseModel):
    user = ForeignKeyField(User, backref="attempts", on_delete="CASCADE")
    succeeded = BooleanField()
    at = DateTimeField(default=datetime.now, index=True)


class AuditEntry(BaseModel):
    actor = ForeignKeyField(User, backref="actions")
    action = CharField(max_length=40, index=True)
    subject = CharField(max_length=80)
    at = DateTimeField(default=datetime.now)
