"""The users of this host's Redis servers: from their file into servers that run.

ACL LOAD would disconnect everybody; users that are set one by one keep their connections.
"""

from pathlib import Path

from . import redis, units

USERS = Path("/etc/redis/users.acl")
DIGEST_MARK = "#"


def accepted() -> dict[str, list[str]]:
    """Per user the digests of the passwords that the file lets it log in with."""
    return {
        name: [word.removeprefix(DIGEST_MARK) for word in words if word.startswith(DIGEST_MARK)]
        for name, words in _declared().items()
    }


def load() -> int:
    """Give the servers that run the users of the file, and take away all others."""
    declared = _declared()
    for port in redis.instances():
        if not units.is_active(f"redis-server@{port}.service"):
            continue
        with redis.connect(port) as connection:
            for name, words in declared.items():
                connection.call("ACL", "SETUSER", name, "reset", *words)
            others = sorted(set(connection.call("ACL", "USERS")) - declared.keys())
            if others:
                connection.call("ACL", "DELUSER", *others)
    return 0


def _declared() -> dict[str, list[str]]:
    try:
        lines = USERS.read_text().splitlines()
    except FileNotFoundError:
        return {}
    rows = [line.split() for line in lines if line.startswith("user ")]
    return {row[1]: row[2:] for row in rows}
