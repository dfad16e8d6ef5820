"""Password hashes, as FastAPI's tutorial makes them: Argon2, at the cost that pwdlib recommends."""

from pwdlib import PasswordHash

passwords = PasswordHash.recommended()


def hash_password(password: str) -> str:
    return passwords.hash(password)


def password_matches(password: str, stored: str) -> bool:
    return passwords.verify(password, stored)
