"""Every host: passwords of Redis and Sentinel of before are withdrawn once nobody uses them."""

from deploys.components import redis_users, sentinel
from deploys.engine import redis_passwords as passwords
from deploys.engine.operations import converge_redis, install_configs, read_again
from deploys.engine.run import here

host = here()
declared = host.declared

read_again(
    # The services' agents have started them anew meanwhile.
    sections=("passwords", "redis", "sentinel"),
    changed_elsewhere=passwords.pending,
    name="Who uses which password",
)
install_configs(
    configs=lambda: (
        [redis_users.config(host.settings, passwords.redis_in_use())]
        if "caches" in host.groups and passwords.pending()
        else []
    ),
    name="Redis users' passwords of before",
)
converge_redis(
    plan=lambda facts: sentinel.withdrawals(declared, facts, passwords.sentinel_unused()),
    name="Sentinels' password of before",
)
