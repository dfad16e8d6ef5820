"""Opens the queue's server, and tells what is wrong from what may pass.

The invariant: no message shows a password; what waiting cannot mend is a `ConfigurationError`, and
only a server that cannot be reached is `QueueUnreachableError`.
"""

from __future__ import annotations

import ssl
from typing import Any

from pytest_slipstream.errors import ConfigurationError, MissingExtraError, SlipstreamError
from pytest_slipstream.queue import scripts
from pytest_slipstream.queue.urls import redacted

CONNECT_S = 5.0
ANSWER_S = 10.0


class QueueUnreachableError(SlipstreamError):
    """Nobody answers at the queue's URL."""


class QueueLostError(SlipstreamError):
    """The queue was there and is not, or no longer knows this machine."""


def opened(url: str, prefix: str) -> Any:
    """A client of the server, which has been tried.

    Args:
        url: The queue's.
        prefix: Of all keys.

    Raises:
        MissingExtraError: The `redis` client is not installed.
        ConfigurationError: The server refuses, or is no Redis or Valkey that can be used.
        QueueUnreachableError: Nobody answers.
    """
    client = _client(url)
    from redis import exceptions

    try:
        client.eval(scripts.PROBE, 1, f"{prefix}:probe")
    except (
        exceptions.ResponseError,
        exceptions.InvalidResponse,
        exceptions.AuthenticationError,
    ) as error:
        raise _refused(redacted(url), error) from error
    except (exceptions.ConnectionError, exceptions.TimeoutError, OSError) as error:
        if _is_about_certificates(url, error):
            raise ConfigurationError(
                f"the queue {redacted(url)} and its certificate do not go together: {error}",
                hint="name the authority's certificate in the URL, and the host as the server's "
                "certificate does: rediss://:password@host:6379/0?ssl_ca_certs=/path/ca.pem",
            ) from error
        raise QueueUnreachableError(
            f"the queue {redacted(url)} cannot be reached: {error}"
        ) from error
    except (TypeError, exceptions.RedisError) as error:  # parameters that the client does not know
        raise _unusable(url, f": {error}") from error
    return client


def _is_about_certificates(url: str, error: Exception) -> bool:
    """Whether TLS failed for what the URL says, or does not say."""
    cause = error.__cause__ or error.__context__
    secure = url.startswith(("rediss:", "valkeys:"))
    return secure and isinstance(cause, ssl.SSLCertVerificationError | FileNotFoundError)


def _unusable(url: str, why: str = "") -> ConfigurationError:
    return ConfigurationError(
        f"the queue's URL {redacted(url)} cannot be used{why}",
        hint="redis://user:password@host:6379/0, or rediss:// for TLS; a password's characters "
        "such as / and @ are written %2F and %40",
    )


def _client(url: str) -> Any:
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise MissingExtraError(
            "the queue needs the package redis, which is not installed",
            hint='pip install "pytest-slipstream[queue]"',
        ) from error
    if redacted(url).endswith("***"):  # the client's messages would show part of a password
        raise _unusable(url)
    try:
        return redis.Redis.from_url(
            url.replace("valkey", "redis", 1) if url.startswith("valkey") else url,
            socket_connect_timeout=CONNECT_S,
            socket_timeout=ANSWER_S,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise _unusable(url) from error


def _refused(shown: str, error: Exception) -> ConfigurationError:
    """What no waiting mends, in words."""
    from redis import exceptions

    text = str(error)
    if isinstance(error, exceptions.InvalidResponse):
        return ConfigurationError(
            f"what answers at {shown} is no Redis: {text[:100]}",
            hint="check host and port; the queue is Redis 6.2 or Valkey, and later ones",
        )
    if isinstance(error, exceptions.AuthenticationError):
        return ConfigurationError(
            f"the queue {shown} refused the password: {text}",
            hint="put user and password into the URL: redis://user:password@host:6379/0",
        )
    if isinstance(error, exceptions.NoPermissionError):
        return ConfigurationError(
            f"the queue {shown} gives this user too few rights: {text}",
            hint="in redis-cli: ACL SETUSER <user> ~slipstream:* +@stream +@hash +@list "
            "+@keyspace +@string +@scripting +time",
        )
    if out_of_memory(error):
        return ConfigurationError(
            f"the queue {shown} has reached its memory limit: {text}",
            hint="in redis.conf: a larger maxmemory, with maxmemory-policy noeviction",
        )
    return ConfigurationError(
        f"the queue {shown} cannot be used: {text}",
        hint="it must be Redis 6.2 or Valkey, or later, with streams and scripts allowed",
    )


def out_of_memory(error: Exception) -> bool:
    """Whether the server has reached its limit."""
    return "OOM" in str(error) or "used memory" in str(error)
