"""The whole platform: every component, in the order in which they stand on each other.

Each file can be run alone. It has the same operations for every host, also for those it does not
concern: that is what makes pyinfra keep this order over all hosts.
"""

from pyinfra.local import include

include("deploys/base.py")  # every host: packages, users, limits, kernel, journal, clock, settings
include("deploys/redis.py")  # caches; every host: Redis' passwords
include("deploys/sentinel.py")  # sentinels, which watch the caches; every host: their password
include("deploys/postgresql.py")  # databases
include("deploys/runtime.py")  # every host: the release of stellwerk
include("deploys/event_store.py")  # databases: the event store's schema, indexes and views
include("deploys/programs.py")  # apps: the releases of the users' programs
include("deploys/leaving.py")  # databases: services that are declared no more leave
include("deploys/services.py")  # databases: the sample's data; apps: what instances are to run
include("deploys/haproxy.py")  # balancers, in front of the instances
include("deploys/nginx.py")  # balancers, in front of HAProxy and the frontend
include("deploys/agent.py")  # apps, balancers: the agent, which runs and balances instances
include("deploys/cache.py")  # apps: the cache daemon, which invalidates and warms
include("deploys/monitor.py")  # every host: the monitor, which measures what is there
include("deploys/prometheus.py")  # monitors, where asked for: Prometheus and Alertmanager
include("deploys/scaler.py")  # monitors: the scaler, which says how many instances there are to be
include("deploys/instances.py")  # databases: what is wanted is declared, until the agents did it
include("deploys/removal.py")  # every host: what its groups do not need any more goes
include("deploys/redis_passwords.py")  # caches, sentinels: changed ones, once nobody uses the old
include("deploys/logins.py")  # databases: passwords of before, once nobody uses them
include("deploys/verify.py")  # every host: all of it works together
