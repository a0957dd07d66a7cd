"""Where Redis is: a server, or the Sentinels that know it, and who we are there."""

import ssl
from dataclasses import dataclass, field

from stellwerk.endpoint import Endpoint


@dataclass(frozen=True)
class Credentials:
    """Who we are; the password is in no repr."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Sentinels:
    """The Sentinels to ask, and the master's name there."""

    endpoints: tuple[Endpoint, ...]
    master: str
    credentials: Credentials = Credentials()


@dataclass(frozen=True)
class RedisAddress:
    """The server itself, or the Sentinels to find it by; TLS where a context is given."""

    at: Endpoint | Sentinels
    credentials: Credentials = Credentials()
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        return f"Redis {self.at.master if isinstance(self.at, Sentinels) else self.at}"
