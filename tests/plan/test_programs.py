"""A program gets to the app hosts before anything names it, or no host hears of the run."""

import json

import pytest

from . import fake_hosts
from .conftest import ADDRESSES, GROUPS, MakeSite, Outcome, Site, with_tools, without_tools
from .fake_hosts import obedient

SERVICES = """
services = {{
    "shop": {{
        "program": {{"source": "{source}"}},
        "command": ["{command}"],
        "port_base": 8500,
        "max_instances": 2,
        "memory": "64MB",
    }},
}}
"""


def declare(site: Site, source: str = "programs/shop", command: str = "bin/shop") -> None:
    site.write("services.py", SERVICES.format(source=source, command=command))
    program = site.folder / "programs" / "shop" / "bin" / "shop"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text("#!/bin/sh\nexec true\n")
    program.chmod(0o755)


@pytest.fixture(scope="module")
def site(make_site: MakeSite) -> Site:
    found = make_site({name: without_tools(fake_hosts.bare()) for name in ADDRESSES})
    declare(found)
    return found


@pytest.fixture(scope="module")
def first_run(site: Site) -> Outcome:
    return site.run("-y")


def test_every_app_host_and_no_other_gets_the_release(first_run: Outcome) -> None:
    assert first_run.code == 0, first_run.errors
    sent = {one.host: json.loads(one.stdin) for one in first_run.sent if one.tool == "program"}
    assert sent.keys() == set(GROUPS["apps"])
    for document in sent.values():
        assert document["command"] == "bin/shop"
        assert document["prefix"] == "/opt/stellwerk/services/shop"


def test_the_release_is_there_before_a_generation_names_it(first_run: Outcome) -> None:
    order = [one.tool for one in first_run.changes if one.host == "app-1"]
    named = [
        number
        for number, one in enumerate(one for one in first_run.changes if one.host == "app-1")
        if one.tool == "install" and "/generations/shop/" in one.stdin
    ]
    assert order.index("program") < min(named)


def test_a_release_that_is_there_is_not_sent_again(first_run: Outcome, make_site: MakeSite) -> None:
    facts = {name: obedient(first_run.to(name)) for name in ADDRESSES}
    again = make_site({name: with_tools(found) for name, found in facts.items()})
    declare(again)
    assert [one.tool for one in again.run("-y").changes if one.tool == "program"] == []


def test_a_program_that_is_not_there_ends_the_run_before_any_host_is_contacted(
    site: Site,
) -> None:
    declare(site, source="programs/shpo")
    outcome = site.run("-y")
    assert outcome.code != 0
    assert outcome.sent == ()
    (said,) = (line for line in outcome.said.splitlines() if "programs/shpo" in line)
    assert "services.py:4: services.shop.program.source: " in said
    assert "Traceback" not in outcome.said


def test_a_command_its_release_has_not_ends_the_run_before_any_host_is_changed(site: Site) -> None:
    declare(site, command="shop")
    outcome = site.run("-y")
    assert outcome.code != 0
    assert outcome.changes == ()
    assert "services.shop: command: its release has no shop; did you mean bin/shop?" in outcome.said
    assert "Traceback" not in outcome.said
