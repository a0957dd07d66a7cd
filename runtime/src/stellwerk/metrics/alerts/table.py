"""The alerts of the cluster for a terminal. Pure."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from stellwerk.metrics.model import Status
from stellwerk.metrics.monitors import Answers
from stellwerk.terminal.columns import Cell, Column, laid_out
from stellwerk.terminal.figures import age, plural
from stellwerk.terminal.paint import Paint, Tone, one_line

LEAST_WIDTH: Final = 80
_LEAST_HOST_WIDTH: Final = 6
_LEAST_SUMMARY_WIDTH: Final = 40
_TONES: Final = {Status.WARNING.value: Tone.WEAK, Status.CRITICAL.value: Tone.BAD}
_COLUMNS: Final = (
    Column("SEVERITY"),
    Column("HOST", least=_LEAST_HOST_WIDTH),
    Column("FOR", right=True),
    Column("ALERT", least=_LEAST_SUMMARY_WIDTH, wrapped=True),
)

Document = Mapping[str, Any]


def table(answers: Answers, width: int, paint: Paint) -> list[str]:
    """The alerts, the worst first, then the silences, and which monitors do not answer."""
    width = max(width, LEAST_WIDTH)
    found = _alerts(answers)
    out = laid_out(_COLUMNS, [_cells(*one) for one in found], width, paint) if found else []
    out += [*([""] if found else []), *textwrap.wrap(_sentence(answers, found), width)]
    out += [line for said in _silences(answers) for line in textwrap.wrap(said, width)]
    for host, problem in sorted(answers.problems.items()):
        lines = textwrap.wrap(f"{one_line(host)}: {one_line(problem)}", width)
        out += [paint(line, Tone.BAD) for line in lines]
    return out


def silence_name(host: str, silence: Document) -> str:
    """How a silence is named in the whole cluster: "db-1/3"."""
    return f"{host}/{silence['number']}"


def silence_sentence(host: str, silence: Document) -> str:
    """What a silence is about, until when, who made it and why."""
    about = ", ".join(
        f"{name} {silence[name]}" for name in ("metric", "service", "subject")
        if silence[name] != "*"
    )  # fmt: skip
    until = datetime.fromisoformat(silence["until"]).strftime("%Y-%m-%d %H:%M UTC")
    reason = f": {silence['reason']}" if silence["reason"] else ""
    name = silence_name(host, silence)
    return one_line(f"{name}: {about or 'all alerts'} until {until}, by {silence['by']}{reason}")


def _alerts(answers: Answers) -> list[tuple[str, Document, Document]]:
    """Host, the answer it is from, and alert; silenced ones last."""
    found = [
        (host, document, alert)
        for host, document in answers.documents.items()
        for alert in document["alerts"]
    ]
    return sorted(
        found,
        key=lambda one: (
            one[2]["silenced"],
            -Status(one[2]["severity"]).rank,
            str(one[2]["since"]),
            one[0],
        ),
    )


def _cells(host: str, document: Document, alert: Document) -> list[Cell]:
    tone = Tone.DIM if alert["silenced"] else _TONES[alert["severity"]]
    now = datetime.fromisoformat(document["at"])
    lasted = (now - datetime.fromisoformat(alert["since"])).total_seconds()
    said = f"(silenced) {alert['summary']}" if alert["silenced"] else alert["summary"]
    return [
        Cell(alert["severity"], tone),
        Cell(one_line(host)),
        Cell(age(lasted)),
        Cell(one_line(said), Tone.DIM if alert["silenced"] else Tone.NONE),
    ]


def _sentence(answers: Answers, found: Sequence[tuple[str, Document, Document]]) -> str:
    hosts = plural(len(answers.documents), "host")
    if not found:
        return f"No alerts on {hosts}."
    kinds = Counter(alert["severity"] for _, _, alert in found if not alert["silenced"])
    parts = [f"{kinds[one]} {one}" for one in reversed(_TONES) if kinds[one]]
    hushed = sum(bool(alert["silenced"]) for _, _, alert in found)
    if hushed:
        parts.append(f"{hushed} silenced")
    return f"{plural(len(found), 'alert')} on {hosts}: {', '.join(parts)}."


def _silences(answers: Answers) -> Iterator[str]:
    for host, document in sorted(answers.documents.items()):
        for silence in document["silences"]:
            yield f"Silence {silence_sentence(host, silence)}"
