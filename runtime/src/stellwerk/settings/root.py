"""The whole of the settings of one host, one field per section."""

from pydantic import Field

from stellwerk.settings.agent import Agent
from stellwerk.settings.base import Base
from stellwerk.settings.baselines import Baselines
from stellwerk.settings.caching import Caching
from stellwerk.settings.database import Database
from stellwerk.settings.haproxy import Haproxy
from stellwerk.settings.loadtest import Loadtest
from stellwerk.settings.model import Model
from stellwerk.settings.monitoring import Monitoring
from stellwerk.settings.nginx import Nginx
from stellwerk.settings.postgresql import Postgresql
from stellwerk.settings.redis import Redis
from stellwerk.settings.runtime import Runtime
from stellwerk.settings.scaling import Scaling
from stellwerk.settings.secrets import SecretSource
from stellwerk.settings.sentinel import Sentinel
from stellwerk.settings.services import Service
from stellwerk.settings.tls import Tls
from stellwerk.settings.types import ServiceName


class Settings(Model):
    """All settings of a host, validated."""

    base: Base = Field(default_factory=Base, description="Operating system.")
    redis: Redis = Field(default_factory=Redis, description="Redis servers and clients.")
    sentinel: Sentinel = Field(default_factory=Sentinel, description="Redis Sentinel.")
    postgresql: Postgresql = Field(default_factory=Postgresql, description="PostgreSQL server.")
    haproxy: Haproxy = Field(default_factory=Haproxy, description="HAProxy.")
    nginx: Nginx = Field(default_factory=Nginx, description="nginx.")
    services: dict[ServiceName, Service] = Field(default={}, description="The user's services.")
    runtime: Runtime = Field(default_factory=Runtime, description="Stellwerk's own daemons.")
    agent: Agent = Field(default_factory=Agent, description="Agents of app and balancer hosts.")
    scaling: Scaling = Field(default_factory=Scaling, description="Scaling of services.")
    caching: Caching = Field(default_factory=Caching, description="Caches.")
    baselines: Baselines = Field(default_factory=Baselines, description="Performance baselines.")
    monitoring: Monitoring = Field(default_factory=Monitoring, description="Monitoring.")
    loadtest: Loadtest = Field(default_factory=Loadtest, description="Load tests.")
    database: Database = Field(default_factory=Database, description="Contents of the database.")
    tls: Tls = Field(default_factory=Tls, description="TLS between the hosts.")
    secrets: SecretSource = Field(
        default_factory=SecretSource, description="Where secrets come from; for the whole cluster."
    )

    def ports(self, name: str) -> range:
        """The ports that instances of a service may use, also in an emergency.

        There are two at least: a service with one instance is rolled by starting a second.
        """
        return self.services[name].ports(max(self.most_instances(name), 2))

    def most_instances(self, name: str) -> int:
        """How many instances a service may have at most, also in an emergency."""
        service, policy = self.services[name], self.scaling.services.get(name)
        emergency = self.scaling.emergency.max_instances if policy and policy.enabled else 0
        return max(service.max_instances, emergency)
