"""The users of the Redis servers, who may have the password of before beside the present one."""

from collections.abc import Collection, Mapping

from pydantic import SecretStr

from deploys.engine import tools
from deploys.engine.resources import Activation, ConfigSet, File, lines, secret_digest
from stellwerk.settings import Settings

ACL_FILE = "/etc/redis/users.acl"


def config(settings: Settings, before: Mapping[str, Collection[str]]) -> ConfigSet:
    """All users with the rights each needs; `before`: digests of further passwords, per user."""
    return ConfigSet(
        "redis-users",
        files=(File(ACL_FILE, acl(settings, before), mode=0o640, owner="redis", group="redis"),),
        # By the present administrator, whose credential is replaced only afterwards.
        activation=Activation(commands=((*tools.RUN.split(), "load-redis-users"),)),
    )


def acl(settings: Settings, before: Mapping[str, Collection[str]]) -> str:
    """Redis' users with no more rights than each needs; passwords as digests only.

    Sentinel's and the replicas' rights are those of the Redis documentation on ACL.
    """
    rights = {
        "admin": "~* &* +@all",
        "app": "~* &* +@all -@admin -@dangerous +info",
        "monitor": "+ping +info +config|get +client|list +slowlog|get +latency|latest +role",
        "replication": "+psync +replconf +ping",
        "sentinel": (
            "&* +multi +slaveof +ping +exec +subscribe +config|rewrite +role +publish +info"
            " +client|setname +client|kill +script|kill"
        ),
    }
    present = digests(settings)
    return lines(
        "user default off sanitize-payload resetchannels -@all",
        [
            f"user {name} on sanitize-payload"
            f" {' '.join(f'#{one}' for one in (present[name], *sorted(before.get(name, ()))))}"
            f" resetchannels {granted}"
            for name, granted in rights.items()
        ],
    )


def digests(settings: Settings) -> Mapping[str, str]:
    """The digest of each user's present password."""
    passwords = settings.redis.passwords
    given: Mapping[str, SecretStr] = {
        "admin": passwords.admin,
        "app": passwords.app,
        "monitor": passwords.monitor,
        "replication": passwords.replication,
        "sentinel": passwords.sentinel,
    }
    return {name: secret_digest(secret) for name, secret in given.items()}
