"""Password hashes. A real shop uses a library and many more iterations."""

import hashlib
import hmac
import os

ITERATIONS = int(os.environ.get("PASSWORD_ITERATIONS", "1000"))


def hash_password(password: str) -> str:
    salt = os.urandom(8)
    return f"{salt.hex()}${_digest(password, salt)}"


def password_matches(password: str, stored: str) -> bool:
    salt, _, digest = stored.partition("$")
    return hmac.compare_digest(_digest(password, bytes.fromhex(salt)), digest)


def _digest(password: str, salt: bytes) -> str:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS).hex()
