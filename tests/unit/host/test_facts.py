"""What a host reports beside its files: where the health of services is asked."""

import pytest

from deploys.host import facts

from .conftest import Host


def test_the_health_paths_are_those_the_agent_has(host: Host) -> None:
    (host.folder / "agent.json").write_text('{"services": {"shop": {"health_path": "/up"}}}')
    assert facts.health_paths() == {"shop": "/up"}


@pytest.mark.parametrize("text", [None, "", "{}", '{"services": {"shop": {}}}'])
def test_where_the_agent_has_none_there_are_none(host: Host, text: str | None) -> None:
    if text is not None:
        (host.folder / "agent.json").write_text(text)
    assert facts.health_paths() == {}
