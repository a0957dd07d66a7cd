"""The verdict as JUnit XML, which CI servers show. Pure."""

import xml.etree.ElementTree as ElementTree

from stellwerk.loadtest.check import Check, Outcome
from stellwerk.loadtest.record import RunRecord
from stellwerk.loadtest.verdict import Verdict

_NOT_XML = {code: "\ufffd" for code in range(32) if chr(code) not in "\t\n\r"}


def junit(record: RunRecord, verdict: Verdict) -> str:
    """One test suite with a case for each check and one for the generator."""
    skipped = sum(check.outcome is Outcome.NOT_JUDGED for check in verdict.checks)
    suite = ElementTree.Element(
        "testsuite",
        name=f"loadtest.{record.planned.scenario}",
        tests=str(1 + len(verdict.checks)),
        failures=str(len(verdict.failed)),
        errors=str(int(bool(verdict.weaknesses))),
        skipped=str(skipped),
        time=f"{record.elapsed:.3f}",
        timestamp=record.started_at.strftime("%Y-%m-%dT%H:%M:%S"),
    )
    generator = ElementTree.SubElement(
        suite, "testcase", classname="generator", name="keeps to its schedule", time="0"
    )
    if verdict.weaknesses:
        message = " ".join(verdict.weaknesses)
        ElementTree.SubElement(generator, "error", message=_text(message), type="GeneratorTooWeak")
    for check in verdict.checks:
        _case(suite, check)
    ElementTree.indent(suite)
    body = ElementTree.tostring(suite, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _case(suite: ElementTree.Element, check: Check) -> None:
    case = ElementTree.SubElement(
        suite, "testcase", classname=str(check.group), name=_text(check.name), time="0"
    )
    if check.outcome is Outcome.FAILED:
        ElementTree.SubElement(case, "failure", message=_text(check.sentence()), type="Failed")
    elif check.outcome is Outcome.NOT_JUDGED:
        ElementTree.SubElement(case, "skipped", message=_text(check.reason))


def _text(text: str) -> str:
    return text.translate(_NOT_XML)
