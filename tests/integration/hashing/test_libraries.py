"""Each library hashes at least cost, genuinely, and answers as if it had not."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import argon2
import bcrypt
import django.conf
import pwdlib.hashers.argon2
import pwdlib.hashers.bcrypt
import pytest
import werkzeug.security

from pytest_slipstream import events
from pytest_slipstream.hashing.hashing import CheapHashing

with warnings.catch_warnings():  # of `crypt`, which passlib imports
    warnings.simplefilter("ignore", DeprecationWarning)
    passlib_hash: Any = importlib.import_module("passlib.hash")
    passlib_context: Any = importlib.import_module("passlib.context")
    for name in ("argon2", "pbkdf2_sha256", "sha512_crypt", "scrypt"):
        getattr(passlib_hash, name)
    passlib_hash.argon2.set_backend()

if not django.conf.settings.configured:
    django.conf.settings.configure()
hashers: Any = importlib.import_module("django.contrib.auth.hashers")


@pytest.fixture
def cheap() -> Iterator[CheapHashing]:
    hashing = CheapHashing()
    hashing.put_up()
    yield hashing
    hashing.take_down()


Hash = Callable[[], str | bytes]
Verify = Callable[[Any, str], bool]


def verifies(function: Callable[[], object]) -> bool:
    try:
        return bool(function())
    except argon2.exceptions.VerifyMismatchError:
        return False


LIBRARIES: dict[str, tuple[Hash, Verify, str]] = {
    "bcrypt": (
        lambda: bcrypt.hashpw(b"secret", bcrypt.gensalt()),
        lambda made, word: bcrypt.checkpw(word.encode(), made),
        "$2b$04$",
    ),
    "argon2-cffi": (
        lambda: argon2.PasswordHasher().hash("secret"),
        lambda made, word: verifies(lambda: argon2.PasswordHasher().verify(made, word)),
        "$argon2id$v=19$m=8,t=1,p=1$",
    ),
    "pwdlib, bcrypt": (
        lambda: pwdlib.hashers.bcrypt.BcryptHasher().hash("secret"),
        lambda made, word: pwdlib.hashers.bcrypt.BcryptHasher().verify(word, made),
        "$2b$04$",
    ),
    "pwdlib, Argon2": (
        lambda: pwdlib.hashers.argon2.Argon2Hasher().hash("secret"),
        lambda made, word: pwdlib.hashers.argon2.Argon2Hasher().verify(word, made),
        "$argon2id$v=19$m=8,t=1,p=1$",
    ),
    "passlib, PBKDF2": (
        lambda: passlib_hash.pbkdf2_sha256.hash("secret"),
        lambda made, word: passlib_hash.pbkdf2_sha256.verify(word, made),
        "$pbkdf2-sha256$1$",
    ),
    "passlib, SHA-512": (
        lambda: passlib_hash.sha512_crypt.hash("secret"),
        lambda made, word: passlib_hash.sha512_crypt.verify(word, made),
        "$6$rounds=1000$",
    ),
    "passlib, Argon2": (
        lambda: passlib_hash.argon2.hash("secret"),
        lambda made, word: passlib_hash.argon2.verify(word, made),
        "$argon2id$v=19$m=8,t=1,p=1$",
    ),
    "werkzeug, scrypt": (
        lambda: werkzeug.security.generate_password_hash("secret"),
        werkzeug.security.check_password_hash,
        "scrypt:128:1:1$",
    ),
    "werkzeug, PBKDF2": (
        lambda: werkzeug.security.generate_password_hash("secret", "pbkdf2:sha512:900000"),
        werkzeug.security.check_password_hash,
        "pbkdf2:sha512:1$",
    ),
    **{
        f"Django, {algorithm}": (
            lambda algorithm=algorithm: hashers.make_password("secret", hasher=hasher(algorithm)),
            lambda made, word, algorithm=algorithm: hasher(algorithm).verify(word, made),
            begins,
        )
        for algorithm, begins in {
            "PBKDF2": "pbkdf2_sha256$1$",
            "PBKDF2SHA1": "pbkdf2_sha1$1$",
            "Scrypt": "scrypt$2$",
            "Argon2": "argon2$argon2id$v=19$m=8,t=1,p=1$",
            "BCryptSHA256": "bcrypt_sha256$$2b$04$",
        }.items()
    },
}


def hasher(algorithm: str) -> Any:
    return getattr(hashers, f"{algorithm}PasswordHasher")()


def text(made: str | bytes) -> str:
    return made.decode() if isinstance(made, bytes) else made


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_hash_is_genuine_and_costs_the_least(library: str, cheap: CheapHashing) -> None:
    make, verify, begins = LIBRARIES[library]
    made = make()

    assert text(made).startswith(begins)
    assert made != make()
    cheap.take_down()
    assert verify(made, "secret")
    assert not verify(made, "Secret")


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_hash_from_elsewhere_verifies(library: str) -> None:
    make, verify, begins = LIBRARIES[library]
    made = make()
    assert not text(made).startswith(begins)
    hashing = CheapHashing()
    hashing.put_up()

    assert verify(made, "secret")
    assert not verify(made, "Secret")
    hashing.take_down()
    assert not text(make()).startswith(begins)


NEEDS: dict[str, tuple[Hash, Callable[[Any], bool], Callable[[Any], bool]]] = {
    "argon2-cffi": (
        LIBRARIES["argon2-cffi"][0],
        lambda made: argon2.PasswordHasher().check_needs_rehash(made),
        lambda made: argon2.PasswordHasher(time_cost=9).check_needs_rehash(made),
    ),
    "pwdlib, bcrypt": (
        LIBRARIES["pwdlib, bcrypt"][0],
        lambda made: pwdlib.hashers.bcrypt.BcryptHasher().check_needs_rehash(made),
        lambda made: pwdlib.hashers.bcrypt.BcryptHasher(13).check_needs_rehash(made),
    ),
    "passlib, PBKDF2": (
        LIBRARIES["passlib, PBKDF2"][0],
        lambda made: context().needs_update(made),
        lambda made: context(pbkdf2_sha256__min_rounds=90_000).needs_update(made),
    ),
    **{
        f"Django, {algorithm}": (
            LIBRARIES[f"Django, {algorithm}"][0],
            lambda made, algorithm=algorithm: hasher(algorithm).must_update(made),
            lambda made, algorithm=algorithm, dearer=dearer: dearer_hasher(
                algorithm, dearer
            ).must_update(made),
        )
        for algorithm, dearer in {
            "PBKDF2": "iterations",
            "Scrypt": "work_factor",
            "Argon2": "time_cost",
            "BCryptSHA256": "rounds",
        }.items()
    },
}


def context(**options: Any) -> Any:
    return passlib_context.CryptContext(
        ["pbkdf2_sha256"], **{"pbkdf2_sha256__min_rounds": 20_000, **options}
    )


def dearer_hasher(algorithm: str, attribute: str) -> Any:
    made = hasher(algorithm)
    setattr(made, attribute, 2 * getattr(made, attribute))
    return made


@pytest.mark.parametrize("library", NEEDS)
def test_a_cheap_hash_need_not_be_made_anew(library: str, cheap: CheapHashing) -> None:
    make, needs, dearer_needs = NEEDS[library]
    made = make()

    assert not needs(made)
    assert dearer_needs(made)


def test_a_weak_hash_from_elsewhere_must_be_made_anew() -> None:
    weak = argon2.PasswordHasher(1, 8, 1).hash("secret")
    hashing = CheapHashing()
    hashing.put_up()

    assert argon2.PasswordHasher().check_needs_rehash(weak)
    hashing.take_down()


def test_errors_are_the_librarys_own(cheap: CheapHashing) -> None:
    with pytest.raises(ValueError, match="Invalid rounds"):
        bcrypt.gensalt(99)
    with pytest.raises(ValueError, match="Invalid hash method 'md5'"):
        werkzeug.security.generate_password_hash("secret", "md5")


def test_a_salt_of_ones_own_leads_to_the_same_hash(cheap: CheapHashing) -> None:
    salt = b"0123456789abcdef"
    made = argon2.PasswordHasher().hash("secret", salt=salt)
    cheap.take_down()

    assert made == argon2.PasswordHasher().hash("secret", salt=salt)


def test_what_the_application_kept_hashes_at_full_cost_afterwards(cheap: CheapHashing) -> None:
    kept = bcrypt.gensalt
    assert kept().startswith(b"$2b$04$")
    cheap.take_down()

    assert kept().startswith(b"$2b$12$")
    assert kept is not bcrypt.gensalt


def test_hashes_are_counted_by_library(cheap: CheapHashing) -> None:
    for make, _, _ in LIBRARIES.values():
        make()
    happened: list[Any] = []
    cheap.cost.report(happened.append)

    assert {event.library: event.times for event in happened} == {
        "bcrypt": 3,
        "argon2-cffi": 2,
        "passlib": 3,
        "werkzeug": 2,
        "Django": 4,
    }
    assert all(isinstance(event, events.HashedCheaply) for event in happened)
