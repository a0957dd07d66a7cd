"""The value types settings are made of: sizes, ports, durations, times, secrets.

What a whole section looks like is in the module named after it.
"""

import re
from decimal import Decimal
from hmac import compare_digest
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler, SecretStr
from pydantic_core import CoreSchema, core_schema

_UNITS: Final = {"": 1, "B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[a-zA-Z]*)")
_SECRET = re.compile(r"[!-~]{8,512}")
_CRON_FIELD = re.compile(r"(\*|\d+(-\d+)?)(/\d+)?(,(\*|\d+(-\d+)?)(/\d+)?)*")
_CRON_RANGES: Final = (range(60), range(24), range(1, 32), range(1, 13), range(8))
_CRON_NAMES: Final[dict[str, int]] = {
    name: number
    for names in (
        "sun mon tue wed thu fri sat",
        " jan feb mar apr may jun jul aug sep oct nov dec",
    )
    for number, name in enumerate(names.split(" "))
    if name
}


class Bytes(int):
    """A size in bytes, written as a number or with a unit: "16MB", "1.5GB" (1 kB = 1024 B)."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Return the size `value` stands for; ValueError says what is accepted."""
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return cls(value)
        match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
        factors = {unit.lower(): factor for unit, factor in _UNITS.items()}
        factor = factors.get(match["unit"].lower()) if match else None
        if match is None or factor is None:
            raise ValueError('expected a size such as "16MB" or "1GB" (kB, MB, GB, TB) or bytes')
        size = Decimal(match["number"]) * factor
        if size != int(size):
            raise ValueError("expected a size that is a whole number of bytes")
        return cls(int(size))

    @property
    def text(self) -> str:
        """The size in the largest unit that divides it: "1GB", "1536MB", "1000B"."""
        unit = next(
            unit
            for unit, factor in reversed(_UNITS.items())
            if self % factor == 0 and (self or unit == "B")
        )
        return f"{int(self) // _UNITS[unit]}{unit}"

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: type[Any], _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda size: size.text),
        )


class Secret(SecretStr):
    """A password, key or token. It is never shown; an empty one stands for "not given here"."""

    @property
    def given(self) -> bool:
        """Whether there is a value: a daemon is handed only the secrets it needs."""
        return bool(self._secret_value)

    def get_secret_value(self) -> str:
        """Return the secret itself; LookupError where this process was not given it."""
        if not self.given:
            raise LookupError("this secret was not given to this process")
        return super().get_secret_value()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and compare_digest(
            self._secret_value.encode(), other._secret_value.encode()
        )

    def __hash__(self) -> int:
        return hash(self._secret_value)

    def __len__(self) -> int:
        return len(self._secret_value)

    def _display(self) -> str:
        return MASK if self.given else ""

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: type[Any], _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._parse,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda secret: secret._display(), when_used="json"
            ),
        )

    @classmethod
    def _parse(cls, value: object) -> Self:
        text = value._secret_value if isinstance(value, SecretStr) else value
        if text == "" and isinstance(value, cls):
            return value
        # A mask that found its way back from a printed page must not become the password.
        if isinstance(text, str) and text != MASK and _SECRET.fullmatch(text):
            return cls(text)
        raise ValueError("expected text of 8 to 512 printable ASCII characters without spaces")


MASK: Final = "********"
NOT_GIVEN: Final = Secret("")


def _refuse_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("expected a number, not true or false")
    return value


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise ValueError('expected a time zone such as "Europe/Berlin" or "Etc/UTC"') from None
    return name


def _check_cron(text: str) -> str:
    fields = text.split()
    if len(fields) != 5 or not all(_CRON_FIELD.fullmatch(field) for field in fields):
        raise ValueError('expected five cron fields such as "0 22 * * 1-5"')
    return text


def _number_cron(text: str) -> str:
    """The expression in figures, each of them checked; Sunday is 0."""
    fields = _check_cron(
        re.sub("[a-z]+", lambda name: str(_CRON_NAMES.get(name[0], name[0])), text.lower())
    ).split()
    for allowed, written in zip(_CRON_RANGES, fields, strict=True):
        bounds = re.sub(r"/\d+", "", written).replace("*", str(allowed.start))
        if any(int(one) not in allowed for one in re.split("[,-]", bounds)):
            raise ValueError(
                f"expected {written} to lie between {allowed.start} and {allowed.stop - 1}"
            )
        if any(step[1:].strip("0") == "" for step in re.findall(r"/\d+", written)):
            raise ValueError(f"expected {written} to have a step of 1 or more")
    return " ".join(fields)


Whole = Annotated[int, BeforeValidator(_refuse_truth)]
Number = Annotated[float, BeforeValidator(_refuse_truth), Field(allow_inf_nan=False)]

Port = Annotated[Whole, Field(ge=1, le=65535)]
Count = Annotated[Whole, Field(ge=1)]
CountOrZero = Annotated[Whole, Field(ge=0)]
Seconds = Annotated[Whole, Field(ge=1)]
SecondsOrZero = Annotated[Whole, Field(ge=0)]
Minutes = Annotated[Whole, Field(ge=1)]
Days = Annotated[Whole, Field(ge=1)]
Milliseconds = Annotated[Whole, Field(ge=1)]
Percent = Annotated[Number, Field(ge=0, le=100)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Confidence = Annotated[Number, Field(gt=0, lt=1)]

ServiceName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=64)]
"""Names a systemd template unit, so nothing that would need escaping there."""
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=63)]
"""A name that PostgreSQL, HAProxy and nginx take unquoted."""
MasterName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]
Line = Annotated[str, Field(pattern=r"^[^\n\r\x00]*$")]
"""Text that goes into one line of a configuration file and must not open another."""
KeyPattern = Annotated[str, Field(pattern=r"^[^\s{}]*(\{[a-z_]+\}[^\s{}]*)*$", min_length=1)]
"""A Redis key with fields in braces, such as "portfolio:{portfolio_id}:*"."""
TimeOfDay = Annotated[str, Field(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")]
MonthDay = Annotated[str, Field(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]
TimeZone = Annotated[str, AfterValidator(_check_zone)]
Cron = Annotated[str, AfterValidator(_check_cron)]
CronTimes = Annotated[str, AfterValidator(_number_cron)]
"""A cron expression whose figures are checked and whose weekdays and months may be names."""
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Severity = Literal["info", "warning", "high", "critical"]
