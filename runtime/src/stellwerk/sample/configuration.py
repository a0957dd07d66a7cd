"""What the sample service is told by its unit: environment variables and credential files, read
once.

Nothing here connects to anything.
"""

import ipaddress
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from stellwerk.endpoint import Endpoint

MAX_DELAY_MS: Final = 60_000.0
"""The longest pause or calculation that one request may be given, in milliseconds."""

_T = TypeVar("_T")
_MAX_SECONDS = 86_400.0
_SERVICE_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_INSTANCE = re.compile(r"[A-Za-z0-9_.-]{1,63}")


class ConfigurationError(Exception):
    """A variable or credential is missing or wrong; the message is one sentence that names it."""


@dataclass(frozen=True)
class Password:
    """A secret that does not show in a repr, a log line or a traceback."""

    value: str = field(repr=False)


@dataclass(frozen=True)
class DatabaseAddress:
    """How to reach PostgreSQL. A host that begins with / is the folder of its unix socket.

    `tls_ca` is the file of the authority that must have signed the server's certificate; without
    one, the connection may be plain. `events` is the schema of the event store.
    """

    endpoint: Endpoint
    name: str
    user: str
    password: Password | None = None
    tls_ca: Path | None = None
    events: str = "public"


@dataclass(frozen=True)
class CacheAddress:
    """How to find the Redis master: the Sentinels to ask, its name there, and who we are.

    `tls_ca` is the file of the authority that must have signed the servers' and the Sentinels'
    certificates; without one, the connections are plain. `settings` is the file with the layers of
    the cache; without one, answers are kept by plain keys.
    """

    sentinels: tuple[Endpoint, ...]
    master: str
    user: str | None = None
    password: Password | None = None
    sentinel_password: Password | None = None
    tls_ca: Path | None = None
    settings: Path | None = None


@dataclass(frozen=True)
class Load:
    """What a request costs beyond its answer, so that tests can make the service busy, slow or
    failing.
    """

    cpu_ms: float = 0.0
    delay_ms: float = 0.0
    error_share: float = 0.0


@dataclass(frozen=True)
class Switches:
    """How the service misbehaves on purpose; all off by default. Times in seconds."""

    load: Load = Load()
    set_by_request: bool = False
    start_delay: float = 0.0
    never_ready: bool = False
    exit_after: float | None = None


@dataclass(frozen=True)
class ServiceConfiguration:
    """One instance of the sample service. No bind addresses means loopback and the host's own
    address.
    """

    service: str
    instance: str
    port: int
    bind_addresses: tuple[str, ...] = ()
    database: DatabaseAddress | None = None
    cache: CacheAddress | None = None
    shutdown_timeout: float = 25.0
    switches: Switches = Switches()

    @property
    def label(self) -> str:
        """NAME@PORT, the name of the instance's unit."""
        return f"{self.service}@{self.port}"


def read_service(environment: Mapping[str, str]) -> ServiceConfiguration:
    """The whole configuration of `stellwerk sample serve`.

    Raises ConfigurationError for the first variable or credential that is missing or wrong.
    """
    variables = _Variables(environment)
    port = _required(variables.whole("PORT", low=1, high=65_535), "PORT")
    return ServiceConfiguration(
        service=variables.matching("SERVICE_NAME", _SERVICE_NAME),
        instance=variables.matching("INSTANCE", _INSTANCE, default=str(port)),
        port=port,
        bind_addresses=_bind_addresses(variables),
        database=_database(variables),
        cache=_cache(variables),
        shutdown_timeout=variables.number("SHUTDOWN_TIMEOUT", default=25.0, high=_MAX_SECONDS),
        switches=_switches(variables),
    )


def read_database(environment: Mapping[str, str]) -> DatabaseAddress:
    """The part that `stellwerk sample seed` needs. Raises ConfigurationError, also when
    DATABASE_HOST is unset.
    """
    return _required(_database(_Variables(environment)), "DATABASE_HOST")


class _Variables:
    """Typed reading of single variables. An empty value counts as unset, as systemd cannot unset
    one.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def text(self, name: str) -> str | None:
        return self._environment.get(name, "").strip() or None

    def required(self, name: str) -> str:
        return _required(self.text(name), name)

    def matching(self, name: str, pattern: re.Pattern[str], default: str | None = None) -> str:
        value = _required(self.text(name) or default, name)
        if not pattern.fullmatch(value):
            raise ConfigurationError(f"{name} is {value!r}: it must match {pattern.pattern}.")
        return value

    def number(self, name: str, *, default: float, high: float) -> float:
        value = self.optional_number(name, high=high)
        return default if value is None else value

    def optional_number(self, name: str, *, high: float) -> float | None:
        text = self.text(name)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 <= value <= high:
            raise ConfigurationError(f"{name} is {text!r}: it must be a number from 0 to {high:g}.")
        return value

    def whole(self, name: str, *, low: int, high: int) -> int | None:
        text = self.text(name)
        return None if text is None else _whole(text, f"{name} is {text!r}", low, high)

    def flag(self, name: str) -> bool:
        text = self.text(name)
        if text not in (None, "0", "1"):
            raise ConfigurationError(f"{name} is {text!r}: it must be 0 or 1.")
        return text == "1"

    def file(self, name: str) -> Path | None:
        """The path of a file that can be read, so that a wrong one is told at the start."""
        text = self.text(name)
        if text is None:
            return None
        try:
            Path(text).open("rb").close()
        except OSError as error:
            raise ConfigurationError(
                f"{name} is {text!r}, which cannot be read: {error.strerror}."
            ) from None
        return Path(text)

    def password(self, file_name: str) -> Password | None:
        """The content of a credential file; None where the unit was given no such credential."""
        directory = self.text("CREDENTIALS_DIRECTORY")
        if directory is None:
            return None
        file = Path(directory) / file_name
        try:
            value = file.read_text(encoding="utf-8").rstrip("\r\n")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise ConfigurationError(f"The credential {file} cannot be read: {reason}.") from None
        if not value:
            raise ConfigurationError(f"The credential {file} is empty: write the password in it.")
        return Password(value)


def _required(value: _T | None, name: str) -> _T:
    if value is None:
        raise ConfigurationError(f"{name} is not set: set it in the environment.")
    return value


def _whole(text: str, subject: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdecimal() and low <= int(text) <= high):
        raise ConfigurationError(f"{subject}: it must be a whole number from {low} to {high}.")
    return int(text)


def _bind_addresses(variables: _Variables) -> tuple[str, ...]:
    addresses = _parts(variables.text("BIND_ADDRESS"))
    for address in addresses:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise ConfigurationError(
                f"BIND_ADDRESS has {address!r}: it must be IP addresses separated by commas."
            ) from None
    return tuple(dict.fromkeys(addresses))


def _database(variables: _Variables) -> DatabaseAddress | None:
    host = variables.text("DATABASE_HOST")
    if host is None:
        return None
    return DatabaseAddress(
        endpoint=Endpoint(host, variables.whole("DATABASE_PORT", low=1, high=65_535) or 5432),
        name=variables.required("DATABASE_NAME"),
        user=variables.required("DATABASE_USER"),
        password=variables.password("postgresql.password"),
        tls_ca=variables.file("DATABASE_TLS_CA"),
        events=variables.text("DATABASE_EVENT_SCHEMA") or "public",
    )


def _cache(variables: _Variables) -> CacheAddress | None:
    sentinels = _parts(variables.text("REDIS_SENTINELS"))
    if not sentinels:
        return None
    return CacheAddress(
        sentinels=tuple(_endpoint(sentinel) for sentinel in sentinels),
        master=variables.required("REDIS_MASTER"),
        user=variables.text("REDIS_USER"),
        password=variables.password("redis.password"),
        sentinel_password=variables.password("sentinel.password"),
        tls_ca=variables.file("REDIS_TLS_CA"),
        settings=variables.file("CACHE_SETTINGS"),
    )


def _endpoint(text: str) -> Endpoint:
    host, _, port = text.rpartition(":")
    subject = f"REDIS_SENTINELS has {text!r}, which is not host:port"
    if not host:
        raise ConfigurationError(f"{subject}: separate several by commas.")
    return Endpoint(host.removeprefix("[").removesuffix("]"), _whole(port, subject, 1, 65_535))


def _switches(variables: _Variables) -> Switches:
    return Switches(
        load=Load(
            cpu_ms=variables.number("SAMPLE_CPU_MS", default=0.0, high=MAX_DELAY_MS),
            delay_ms=variables.number("SAMPLE_DELAY_MS", default=0.0, high=MAX_DELAY_MS),
            error_share=variables.number("SAMPLE_ERROR_SHARE", default=0.0, high=1.0),
        ),
        set_by_request=variables.flag("SAMPLE_SWITCHES"),
        start_delay=variables.number("SAMPLE_START_DELAY_S", default=0.0, high=_MAX_SECONDS),
        never_ready=variables.flag("SAMPLE_NEVER_READY"),
        exit_after=variables.optional_number("SAMPLE_EXIT_AFTER_S", high=_MAX_SECONDS),
    )


def _parts(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
