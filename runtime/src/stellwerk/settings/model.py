"""What every settings class has in common, and the threshold that several sections use."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stellwerk.settings.types import Number


class Model(BaseModel):
    """A frozen part of the settings that refuses unknown keys and keeps values out of errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, coerce_numbers_to_str=True
    )


class Threshold(Model):
    """What is normal for a metric, and from where on it is a warning or critical (inclusive)."""

    baseline: Number | None = Field(None, description="The usual value, for deviations.")
    warning: Number | None = Field(None, description="A warning at this value or beyond.")
    critical: Number | None = Field(None, description="Critical at this value or beyond.")
    bound: Literal["upper", "lower"] = Field(
        "upper", description="Whether a rise (upper) or a fall (lower) is bad."
    )

    @model_validator(mode="after")
    def _critical_is_beyond_warning(self) -> Self:
        if self.warning is not None and self.critical is not None:
            beyond = self.critical - self.warning
            if (beyond if self.bound == "upper" else -beyond) < 0:
                raise ValueError(
                    f"expected critical ({self.critical:g}) beyond warning ({self.warning:g})"
                    f" for a bound that is {self.bound}"
                )
        return self
