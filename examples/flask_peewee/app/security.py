"""Passwords and signed bearer tokens."""

import os

from itsdangerous import BadSignature, URLSafeSerializer
from werkzeug.security import check_password_hash, generate_password_hash

METHOD = os.environ.get("PASSWORD_METHOD", "pbkdf2:sha256:50000")
tokens = URLSafeSerializer(os.environ.get("TOKEN_SECRET", "not-a-secret"))


def hash_password(password):
    return generate_password_hash(password, method=METHOD)


def password_matches(password, stored):
    return check_password_hash(stored, password)


def issue_token(username):
    return tokens.dumps(username)


def read_token(token):
    """The user name in a token, or None if the token was not issued here."""
    try:
        return tokens.loads(token)
    except BadSignature:
        return None
