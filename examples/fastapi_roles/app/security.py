"""Passwords and signed bearer tokens. Small on purpose: real services use a library for both."""

import hashlib
import hmac
import os

ITERATIONS = int(os.environ.get("PASSWORD_ITERATIONS", "50000"))
SECRET = os.environ.get("TOKEN_SECRET", "not-a-secret").encode()


def hash_password(password: str) -> str:
    """A salted hash: ``salt$digest``."""
    salt = os.urandom(8)
    return f"{salt.hex()}${_digest(password, salt)}"


def password_matches(password: str, stored: str) -> bool:
    """Whether ``password`` is the one that ``stored`` was made from."""
    salt, _, digest = stored.partition("$")
    return hmac.compare_digest(_digest(password, bytes.fromhex(salt)), digest)


def issue_token(username: str) -> str:
    """A token that says who its bearer is."""
    return f"{username}.{_signature(username)}"


def read_token(token: str) -> str | None:
    """The user name in a token, or None if the token was not issued here."""
    username, _, signature = token.rpartition(".")
    return username if hmac.compare_digest(_signature(username), signature) else None


def _digest(password: str, salt: bytes) -> str:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations=ITERATIONS).hex()


def _signature(username: str) -> str:
    return hmac.new(SECRET, username.encode(), "sha256").hexdigest()
