"""What the cache daemon is told: its configuration file, and its credentials in files beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import Field

from stellwerk.caching.addresses import RedisAddress
from stellwerk.caching.deployed import (
    ConfigurationError,
    ServiceDocument,
    address,
    parsed,
    secrets_in,
    with_encryption_key,
)
from stellwerk.settings.caching import Caching
from stellwerk.settings.types import Line, Secret

__all__ = ["ConfigurationError", "DaemonConfiguration", "read"]

REDIS_PASSWORD: Final = "redis.passwords.app"  # noqa: S105 - the name of a file, as those below
SENTINEL_PASSWORD: Final = "sentinel.password"  # noqa: S105
DATABASE_PASSWORD: Final = "postgresql.passwords.app"  # noqa: S105
TOKENS: Final = {
    field: f"caching.invalidation.admin.{field}" for field in ("token", "token_for_all")
}


class Document(ServiceDocument):
    """The configuration file."""

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

    `credentials` is a folder with a file per secret; None: there are none. Raises
    ConfigurationError.
    """
    document, given = parsed(path, Document), secrets_in(credentials)
    return DaemonConfiguration(
        caching=_with_tokens(with_encryption_key(document.caching, given), given),
        redis=address(
            path, document.redis, given.get(REDIS_PASSWORD), given.get(SENTINEL_PASSWORD)
        ),
        database=_dsn(document.database, given),
        audit=Path(document.audit),
        listen=document.listen,
    )


def _with_tokens(caching: Caching, given: Mapping[str, str]) -> Caching:
    tokens = {field: Secret(given[name]) for field, name in TOKENS.items() if name in given}
    invalidation = caching.invalidation
    admin = invalidation.admin.model_copy(update=tokens)
    return caching.model_copy(
        update={"invalidation": invalidation.model_copy(update={"admin": admin})}
    )


def _dsn(dsn: str | None, given: Mapping[str, str]) -> str | None:
    if dsn is None or DATABASE_PASSWORD not in given:
        return dsn
    from psycopg.conninfo import make_conninfo

    return make_conninfo(dsn, password=given[DATABASE_PASSWORD])
