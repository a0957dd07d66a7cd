"""Turns a scenario of the settings into a plan. Pure, but for the file of headers."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stellwerk.loadtest.plan import Parameter, Plan, Request, Target
from stellwerk.loadtest.schedule import Schedule
from stellwerk.loadtest.source import Definitions
from stellwerk.sample.dataset import Amounts, generate
from stellwerk.settings import loadtest as settings

REQUESTS_PER_PROCESS: Final = 4000
"""Requests per second that one process is given: at 5000 it used a third of a core (measured)."""


class PlanError(Exception):
    """The run cannot be planned as asked; the message is one sentence."""


@dataclass(frozen=True)
class Kind:
    """One kind of request as it is judged: its label, its service, and the baselines it counts
    for besides the one of its label.
    """

    label: str
    service: str
    counts_for: tuple[str, ...]


@dataclass(frozen=True)
class Planned:
    """A scenario ready to run."""

    scenario: str
    scale: float
    plan: Plan
    kinds: tuple[Kind, ...]

    def planned_rate(self, kinds: tuple[int, ...]) -> float:
        """The requests per second of these kinds at full load."""
        weights = [request.weight for request in self.plan.requests]
        share = sum(weights[kind] for kind in kinds) / sum(weights)
        return self.plan.schedule.requests_per_second * share


def plan_run(
    definitions: Definitions,
    scenario_name: str,
    target: Target,
    *,
    scale: float = 1.0,
    seed: int = 1,
    headers: Mapping[str, str] | None = None,
) -> Planned:
    """The plan of a scenario against a target.

    + scale: factor of the duration and the ramp-up; the rate stays
    + headers: sent with every request besides its own

    Raises SettingsError for an unknown scenario, PlanError where nothing would be sent.
    """
    scenario = definitions.scenario(scenario_name)
    mix = definitions.loadtest.mixes[scenario.mix]
    schedule = Schedule(
        scenario.requests_per_second, scenario.duration_seconds, scenario.ramp_up_seconds
    ).scaled(scale)
    if schedule.total < 1:
        raise PlanError(f"{scenario_name}: at a scale of {scale:g} not one request would be sent")
    labels = _labels(mix)
    plan = Plan(
        target=target,
        schedule=schedule,
        users=scenario.virtual_users,
        requests=tuple(
            Request(
                label=labels[name],
                path=request.path,
                method=request.method,
                body=request.body,
                headers={**request.headers, **(headers or {})},
                weight=request.weight,
            )
            for name, request in mix.items()
        ),
        parameters=_parameters(definitions.loadtest),
        timeout=definitions.loadtest.request_timeout_seconds,
        longest_wait=definitions.loadtest.longest_wait_seconds,
        seed=seed,
    )
    kinds = tuple(
        Kind(labels[name], request.service, tuple(request.counts_for))
        for name, request in mix.items()
    )
    return Planned(scenario_name, scale, plan, kinds)


def processes_needed(plan: Plan) -> int:
    """How many processes the rate needs, as far as there are processors and users for them."""
    needed = math.ceil(plan.schedule.requests_per_second / REQUESTS_PER_PROCESS)
    return max(1, min(needed, len(os.sched_getaffinity(0)), plan.users))


def read_headers(path: Path) -> dict[str, str]:
    """The headers in a file of lines "Name: value", such as an Authorization that is not to be seen
    on a command line. Raises PlanError, which holds no value.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise PlanError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise PlanError(f"{path}: is not ASCII text") from None
    headers = {}
    for number, line in enumerate(lines, 1):
        name, colon, value = line.partition(":")
        if not line.strip():
            continue
        if not colon or not name.strip() or " " in name.strip():
            raise PlanError(f"{path}:{number}: expected a header as Name: value")
        headers[name.strip()] = value.strip()
    return headers


def _labels(mix: Mapping[str, settings.Request]) -> dict[str, str]:
    """Method and path of each request, made different by its name where two are alike."""
    labels = {
        name: f"{request.method} {request.path.partition('?')[0]}" for name, request in mix.items()
    }
    alike = list(labels.values())
    return {
        name: label if alike.count(label) == 1 else f"{label} ({name})"
        for name, label in labels.items()
    }


def _parameters(loadtest: settings.Loadtest) -> dict[str, Parameter]:
    return {
        name: _parameter(parameter, loadtest.data)
        for name, parameter in loadtest.parameters.items()
    }


def _parameter(parameter: settings.Parameter, data: settings.TestData) -> Parameter:
    if parameter.one_of is not None:
        return Parameter(texts=tuple(parameter.one_of))
    if parameter.between is not None:
        return Parameter(first=parameter.between[0], last=parameter.between[1])
    if parameter.test_data == "symbols":
        # Every seed has the same symbols.
        amounts = Amounts(users=1, assets=data.assets, portfolios=0, trades_per_portfolio=0)
        return Parameter(texts=tuple(asset.symbol for asset in generate(1, amounts).assets))
    return Parameter(
        first=1, last=data.users if parameter.test_data == "user_ids" else data.portfolios
    )
