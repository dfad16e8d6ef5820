"""Passwords, as FastAPI's tutorial hashes them: Argon2, at the cost that pwdlib recommends; and
signed bearer tokens, small on purpose: real services use a library for these too."""

import hmac
import os

from pwdlib import PasswordHash

SECRET = os.environ.get("TOKEN_SECRET", "not-a-secret").encode()
passwords = PasswordHash.recommended()


def hash_password(password: str) -> str:
    return passwords.hash(password)


def password_matches(password: str, stored: str) -> bool:
    return passwords.verify(password, stored)


def issue_token(username: str) -> str:
    """A token that says who its bearer is."""
    return f"{username}.{_signature(username)}"


def read_token(token: str) -> str | None:
    """The user name in a token, or None if the token was not issued here."""
    username, _, signature = token.rpartition(".")
    return username if hmac.compare_digest(_signature(username), signature) else None


def _signature(username: str) -> str:
    return hmac.new(SECRET, username.encode(), "sha256").hexdigest()
