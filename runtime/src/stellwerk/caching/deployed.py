"""What a deploy tells of the cache: a file, and the secrets in files of their own beside it."""

import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from pydantic import Field, ValidationError

from stellwerk.caching.addresses import Credentials, RedisAddress, Sentinels
from stellwerk.endpoint import Endpoint
from stellwerk.settings.caching import Caching
from stellwerk.settings.model import Model
from stellwerk.settings.types import Line, Port, Secret

VARIABLE: Final = "CACHE_SETTINGS"
REDIS_PASSWORD: Final = "redis.password"  # noqa: S105 - the name of a file, as those below
SENTINEL_PASSWORD: Final = "sentinel.password"  # noqa: S105
ENCRYPTION_KEY: Final = "caching.encryption.key"

_Document = TypeVar("_Document", bound=Model)


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


class ServiceDocument(Model):
    """What services are told."""

    caching: Caching = Field(description="The settings of the cache.")
    redis: Redis = Field(description="Where Redis is.")


@dataclass(frozen=True)
class Deployed:
    """What a service needs to use the cache as it is deployed."""

    caching: Caching
    redis: RedisAddress


def deployed(variables: Mapping[str, str] = os.environ) -> Deployed:
    """The cache of the cluster that this service runs in. Raises ConfigurationError.

    Read from `$CACHE_SETTINGS` and `$CREDENTIALS_DIRECTORY`. Journals are in `$STATE_DIRECTORY`.
    """
    if not (path := variables.get(VARIABLE)):
        raise ConfigurationError(
            f"{VARIABLE} is not set: the cluster has no Redis, or no deploy started this service."
        )
    document = parsed(Path(path), ServiceDocument)
    folder = variables.get("CREDENTIALS_DIRECTORY")
    given = secrets_in(Path(folder) if folder else None)
    caching = with_encryption_key(document.caching, given)
    behind = caching.write_behind
    # systemd may name several folders; the first is the service's own.
    state = variables.get("STATE_DIRECTORY", "").partition(":")[0]
    journals = behind.model_copy(update={"directory": str(Path(state) / behind.directory)})
    return Deployed(
        caching=caching.model_copy(update={"write_behind": journals}),
        redis=address(
            Path(path), document.redis, given.get(REDIS_PASSWORD), given.get(SENTINEL_PASSWORD)
        ),
    )


def parsed(path: Path, kind: type[_Document]) -> _Document:
    """The document in a file. Raises ConfigurationError."""
    try:
        return kind.model_validate(json.loads(path.read_text()))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigurationError(f"{path}: {where}: {first['msg']}.") from None
    except ValueError as error:
        raise ConfigurationError(f"{path} is no JSON document: {error}.") from None


def secrets_in(folder: Path | None) -> dict[str, str]:
    """The secrets of a folder by the names of their files; None: there are none."""
    if folder is None:
        return {}
    return {file.name: file.read_text().strip() for file in folder.iterdir() if file.is_file()}


def with_encryption_key(caching: Caching, given: Mapping[str, str]) -> Caching:
    """The settings with the key that was given, where one was."""
    if ENCRYPTION_KEY not in given:
        return caching
    # Older keys are not needed: what they encrypted is loaded anew.
    key = Secret(given[ENCRYPTION_KEY])
    encryption = caching.encryption.model_copy(update={"key": key})
    return caching.model_copy(update={"encryption": encryption})


def address(
    path: Path, redis: Redis, password: str | None, sentinel_password: str | None
) -> RedisAddress:
    """Where Redis is and who we are. Raises ConfigurationError; `path` is for its message."""
    credentials = Credentials(redis.user, password)
    tls = ssl.create_default_context(cafile=redis.tls_ca) if redis.tls_ca else None
    if redis.server is not None:
        return RedisAddress(Endpoint(redis.server.host, redis.server.port), credentials, tls)
    if not redis.sentinels or not redis.master:
        raise ConfigurationError(
            f"{path}: redis: give a server, or sentinels and the master's name there."
        )
    endpoints = tuple(Endpoint(one.host, one.port) for one in redis.sentinels)
    sentinels = Sentinels(endpoints, redis.master, Credentials(password=sentinel_password))
    return RedisAddress(sentinels, credentials, tls)
