"""What the cache daemon is told: its configuration file, and its credentials in files beside it."""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import Field, ValidationError

from stellwerk.caching.addresses import Credentials, Endpoint, RedisAddress, Sentinels
from stellwerk.settings.caching import Caching
from stellwerk.settings.model import Model
from stellwerk.settings.types import Line, Port, Secret

REDIS_PASSWORD: Final = "redis.passwords.app"  # noqa: S105 - the name of a file, as those below
SENTINEL_PASSWORD: Final = "sentinel.password"  # noqa: S105
DATABASE_PASSWORD: Final = "postgresql.passwords.app"  # noqa: S105
ENCRYPTION_KEY: Final = "caching.encryption.key"
TOKENS: Final = {
    field: f"caching.invalidation.admin.{field}" for field in ("token", "token_for_all")
}


class ConfigurationError(Exception):
    """The configuration is missing or wrong; the message says where and what to do."""


class Listener(Model):
    """Where a server listens."""

    host: Line = Field(description="Its name or address.")
    port: Port = Field(description="Its port.")


class Redis(Model):
    """Where Redis is: `master` by the Sentinels, or the one server."""

    server: Listener | None = Field(None, description="The server, where there are no Sentinels.")
    sentinels: list[Listener] = Field(default=[], description="The Sentinels to ask.")
    master: Line = Field("", description="The master's name there.")
    user: Line | None = Field(None, description="Who we are.")
    tls_ca: Line | None = Field(None, description="File of the authority; absent: without TLS.")


class Document(Model):
    """The configuration file."""

    caching: Caching = Field(description="The settings of the cache.")
    redis: Redis = Field(description="Where Redis is.")
    database: Line | None = Field(None, description="The services' database; absent: none.")
    audit: Line = Field("/var/log/stellwerk/cache.jsonl", description="Record of requests.")
    listen: Line = Field("127.0.0.1", description="Address of the admin API.")


@dataclass(frozen=True)
class DaemonConfiguration:
    """The configuration with the credentials put in."""

    caching: Caching
    redis: RedisAddress
    database: str | None = field(repr=False)
    audit: Path
    listen: str


def read(path: Path, credentials: Path | None) -> DaemonConfiguration:
    """The configuration of the cache daemon.

    Credentials are files of a folder, each named by its key of the settings, as those above; one
    that is not there is not given. Raises ConfigurationError.
    """
    try:
        document = Document.model_validate(json.loads(path.read_text()))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigurationError(f"{path}: {where}: {first['msg']}.") from None
    except ValueError as error:
        raise ConfigurationError(f"{path} is no JSON document: {error}.") from None
    given = _given(credentials)
    return DaemonConfiguration(
        caching=_with_secrets(document.caching, given),
        redis=_address(path, document.redis, given),
        database=_dsn(document.database, given),
        audit=Path(document.audit),
        listen=document.listen,
    )


def _given(folder: Path | None) -> dict[str, str]:
    if folder is None:
        return {}
    return {file.name: file.read_text().strip() for file in folder.iterdir() if file.is_file()}


def _with_secrets(caching: Caching, given: Mapping[str, str]) -> Caching:
    tokens = {field: Secret(given[name]) for field, name in TOKENS.items() if name in given}
    invalidation = caching.invalidation
    admin = invalidation.admin.model_copy(update=tokens)
    changed = invalidation.model_copy(update={"admin": admin})
    encryption = caching.encryption
    if ENCRYPTION_KEY in given:
        # Older keys are not needed: what they encrypted is loaded anew.
        encryption = encryption.model_copy(update={"key": Secret(given[ENCRYPTION_KEY])})
    return caching.model_copy(update={"invalidation": changed, "encryption": encryption})


def _address(path: Path, redis: Redis, given: Mapping[str, str]) -> RedisAddress:
    credentials = Credentials(redis.user, given.get(REDIS_PASSWORD))
    tls = ssl.create_default_context(cafile=redis.tls_ca) if redis.tls_ca else None
    if redis.server is not None:
        return RedisAddress(Endpoint(redis.server.host, redis.server.port), credentials, tls)
    if not redis.sentinels or not redis.master:
        raise ConfigurationError(
            f"{path}: redis: give a server, or sentinels and the master's name there."
        )
    endpoints = tuple(Endpoint(one.host, one.port) for one in redis.sentinels)
    sentinels = Sentinels(
        endpoints, redis.master, Credentials(password=given.get(SENTINEL_PASSWORD))
    )
    return RedisAddress(sentinels, credentials, tls)


def _dsn(dsn: str | None, given: Mapping[str, str]) -> str | None:
    if dsn is None or DATABASE_PASSWORD not in given:
        return dsn
    from psycopg.conninfo import make_conninfo

    return make_conninfo(dsn, password=given[DATABASE_PASSWORD])
