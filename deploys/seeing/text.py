"""A plan as text for people, 100 columns wide. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap

from deploys.engine.changes import Verb
from deploys.seeing.model import FileDifference, HostPlan, Item, Plan, Remark
from deploys.seeing.rollouts import Roll
from stellwerk.terminal.paint import Paint, Tone

WIDTH = 100
_TONES = {"+": Tone.GOOD, "-": Tone.BAD, ".": Tone.DIM}


def plan_text(plan: Plan, paint: Paint) -> list[str]:
    """What a run would do."""
    return [*_hosts(plan, paint), *_rolls(plan.rolls, paint), *_findings(plan, paint), *_sum(plan)]


def drift_text(plan: Plan, paint: Paint) -> list[str]:
    """What is not as declared."""
    if plan.in_step and not plan.unknown:
        return [f"In step: {_count(len(plan.hosts), 'host')} as declared."]
    return [
        *_hosts(plan, paint),
        *_rolls(plan.rolls, paint),
        *_findings(plan, paint),
        "",
        "Nothing was changed. `make plan` shows the same as what a run would do.",
    ]


def _hosts(plan: Plan, paint: Paint) -> Iterator[str]:
    """Hosts that have the same ahead stand together."""
    groups: dict[HostPlan, list[str]] = {}
    for host in plan.hosts:
        if host.items or host.later:
            groups.setdefault(HostPlan("", host.items, host.later), []).append(host.name)
    for host, names in groups.items():
        yield ""
        yield paint(", ".join(names), Tone.STRONG)
        for item in host.items:
            yield from _item(item, paint)
        for remark in host.later:
            yield from _wrapped(f"{remark.component}: {remark.sentence} (known during the run)", 2)


def _item(item: Item, paint: Paint) -> Iterator[str]:
    yield from _wrapped(f"{item.component}: {item.reason}", 2)
    for effect in item.effects:
        text = f"    {effect.verb.upper()} {effect.unit}"
        yield paint(text, Tone.WEAK if effect.verb in (Verb.RESTART, Verb.STOP) else Tone.STRONG)
    for detail in item.details:
        yield from _wrapped(detail, 4)
    for file in item.files:
        yield from _file(file, paint)


def _file(file: FileDifference, paint: Paint) -> Iterator[str]:
    yield f"    {file.path}{f': {file.note}' if file.note else ''}"
    for line in file.lines:
        yield paint(_cut(f"      {line}"), _TONES.get(line[:1], Tone.NONE))


def _rolls(rolls: Sequence[Roll], paint: Paint) -> Iterator[str]:
    if not rolls:
        return
    yield ""
    yield paint("Roll-outs", Tone.STRONG)
    for roll in rolls:
        where = ", ".join(f"{count} on {host}" for host, count in roll.instances.items())
        reload = f"; RELOAD nginx.service on {', '.join(roll.reloads)}" if roll.reloads else ""
        if not roll.before:
            yield from _wrapped(f"{roll.service}: START with generation {roll.after}{reload}", 2)
            continue
        why = ", ".join(roll.why) or "settings"
        yield from _wrapped(
            f"{roll.service}: ROLL from {roll.before} to {roll.after} for {why}, one instance after"
            f" the other ({where or 'none runs'}){reload}",
            2,
        )


def _findings(plan: Plan, paint: Paint) -> Iterator[str]:
    rows = [(host.name, one) for host in plan.hosts for one in host.findings]
    rows += [("", one) for one in plan.findings]
    if not rows:
        return
    yield ""
    yield paint("Not as declared, and not mended by a run alone", Tone.STRONG)
    for host, remark in rows:
        yield from _wrapped(f"{f'{host}: ' if host else ''}{_said(remark)}", 2)


def _said(remark: Remark) -> str:
    return (
        remark.sentence
        if remark.component in remark.sentence
        else (f"{remark.component}: {remark.sentence}")
    )


def _sum(plan: Plan) -> Iterator[str]:
    yield ""
    hosts = sum(bool(host.items) for host in plan.hosts)
    if not plan.changes:
        yield f"Nothing would change on {_count(len(plan.hosts), 'host')}."
        return
    effects = [effect for host in plan.hosts for item in host.items for effect in item.effects]
    counted = (
        _count(sum(effect.verb is verb for effect in effects), str(verb))
        for verb in Verb
        if any(effect.verb is verb for effect in effects)
    )
    rolled = [_count(sum(bool(one.before) for one in plan.rolls), "roll-out")] if plan.rolls else []
    happens = ", ".join([*counted, *rolled]) or "no unit is touched"
    yield (
        f"{_count(hosts, 'host')} of {len(plan.hosts)} would change: {happens}."
        " Nothing was changed now."
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _wrapped(text: str, indent: int) -> Iterable[str]:
    first, rest = " " * indent, " " * (indent + 2)
    return wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"
