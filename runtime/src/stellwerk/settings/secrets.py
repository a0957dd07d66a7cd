"""Where secrets come from. The secrets themselves are in the sections that need them."""

from pydantic import Field

from stellwerk.settings.model import Model
from stellwerk.settings.types import Line


class SecretSource(Model):
    """A program that prints the secrets in place of secrets.yaml."""

    command: list[Line] | None = Field(
        None,
        min_length=1,
        description="Program and arguments that print the YAML of secrets.yaml, run beside the"
        " inventory; absent: secrets.yaml is read, and completed with generated secrets.",
    )
