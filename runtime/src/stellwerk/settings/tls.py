"""Settings of TLS between the hosts. The certificates themselves are the deploy's."""

from typing import Annotated

from pydantic import Field

from stellwerk.settings.model import Model
from stellwerk.settings.types import Whole

CertificateDays = Annotated[Whole, Field(ge=1, le=1000)]
"""At most what an authority that is not renewed yet has left at least (1216 of 3650 days)."""


class Tls(Model):
    """Encryption between hosts: PostgreSQL, Redis and Sentinel. The same for the whole cluster."""

    enabled: bool = Field(
        False,
        description="Whether PostgreSQL, Redis and Sentinel take TLS connections only. To be"
        " decided before the first deploy: Redis is not switched while it has data.",
    )
    certificate_days: CertificateDays = Field(
        365,
        description="Life of a host's certificate; a run renews it when a third of it is left.",
    )
