"""What is to be sent where, when and by whom, as plain data that a worker process is handed."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from stellwerk.loadtest.schedule import Schedule

SAFE_METHODS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True)
class Target:
    """The server under test. `address` is the one of its addresses that answered."""

    host: str
    port: int
    tls: bool = False
    address: str = ""
    path: str = ""
    authority_file: str | None = None

    @property
    def authority(self) -> str:
        """The Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL, without a slash at its end."""
        return f"{'https' if self.tls else 'http'}://{self.authority}{self.path}"


@dataclass(frozen=True)
class Parameter:
    """The values a {name} in a path or a body may take: some texts, or whole numbers in a range."""

    texts: tuple[str, ...] = ()
    first: int = 0
    last: int = 0


@dataclass(frozen=True)
class Request:
    """One kind of request of a mix. Among the mix, it is sent in proportion to its weight."""

    label: str
    path: str
    method: str = "GET"
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    weight: float = 1.0


@dataclass(frozen=True)
class Plan:
    """One run, or one worker's part of it: of all requests those numbered first, first + step...

    Times are seconds. `users` bounds the requests in flight, `longest_wait` is how long a request
    waits for a free user before it is dropped, `timeout` how long an answer may take.
    """

    target: Target
    schedule: Schedule
    users: int
    requests: tuple[Request, ...]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    timeout: float = 30.0
    longest_wait: float = 10.0
    seed: int = 1
    first: int = 0
    step: int = 1

    def part(self, number: int, of: int) -> "Plan":
        """The part of worker `number` of so many. The users of all parts add up to the plan's."""
        users = self.users // of + (number < self.users % of)
        return replace(self, users=users, first=number, step=of)

    def to_json(self) -> str:
        """The plan as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The plan that `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        values["target"] = Target(**values["target"])
        values["schedule"] = Schedule(**values["schedule"])
        values["requests"] = tuple(Request(**request) for request in values["requests"])
        values["parameters"] = {
            name: Parameter(tuple(parameter["texts"]), parameter["first"], parameter["last"])
            for name, parameter in values["parameters"].items()
        }
        return cls(**values)
