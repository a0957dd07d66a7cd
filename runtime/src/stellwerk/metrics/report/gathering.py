"""Gathers the reports of several hosts, which their monitors build."""

from collections.abc import Sequence

from stellwerk.metrics.monitors import Monitors
from stellwerk.metrics.report.document import DocumentError, parsed
from stellwerk.metrics.report.model import Problem, Report
from stellwerk.metrics.report.question import PATH, Question
from stellwerk.settings.files import Member


async def gathered(
    monitors: Monitors, members: Sequence[Member], question: Question, seconds: float
) -> tuple[list[Report], list[Problem]]:
    """The reports of these hosts, and what is in place of the others; each monitor has so long.

    Raises SettingsError.
    """
    answers = await monitors.ask(members, "GET", f"{PATH}?{question.query}", seconds=seconds)
    reports: list[Report] = []
    problems = [Problem(host, sentence) for host, sentence in answers.problems.items()]
    for host, answer in answers.documents.items():
        try:
            reports.append(parsed(answer))
        except DocumentError as error:
            problems.append(Problem(host, f"its report is not understood: {error}"))
    return reports, sorted(problems, key=lambda problem: problem.host)
