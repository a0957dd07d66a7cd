"""Settings of nginx, the public door."""

from typing import Annotated

from pydantic import Field

from stellwerk.settings.model import Model
from stellwerk.settings.types import Bytes, Count, Line, Port, Seconds, SecondsOrZero, ServiceName

LocationPath = Annotated[str, Field(pattern=r"^/[A-Za-z0-9._~/-]*$")]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]*$")]


class Nginx(Model):
    """nginx of a balancer."""

    port: Port = Field(80, description="Public port.")
    status_port: Port = Field(
        8006, description="Port of its own figures for the monitor, on loopback."
    )
    locations: dict[LocationPath, ServiceName] = Field(
        default={}, description="Which service answers below which path."
    )
    worker_connections: Count = Field(1024, description="Connections of one worker.")
    keepalive_seconds: SecondsOrZero = Field(65, description="Idle time of a client connection.")
    upstream_keepalive: Count = Field(32, description="Idle connections a worker keeps open.")
    client_max_body_size: Bytes = Field(Bytes.parse("10MB"), description="Largest request body.")
    proxy_connect_timeout_seconds: Seconds = Field(5, description="For a connection upstream.")
    proxy_read_timeout_seconds: Seconds = Field(30, description="For upstream's next bytes.")
    proxy_send_timeout_seconds: Seconds = Field(30, description="For upstream to take more.")
    worker_shutdown_timeout_seconds: Seconds = Field(
        60, description="Time an old worker may take to finish after a reload."
    )
    headers: dict[HeaderName, Line] = Field(
        default={
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "SAMEORIGIN",
            "Referrer-Policy": "strict-origin-when-cross-origin",
        },
        description="Headers added to every answer.",
    )

    @property
    def default_service(self) -> str | None:
        """The service that answers for `/`."""
        return self.locations.get("/")

    @property
    def api_service(self) -> str | None:
        """The service that answers below `/api/`."""
        return self.locations.get("/api/")
