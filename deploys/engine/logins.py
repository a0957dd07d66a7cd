"""What a run does about changed passwords of PostgreSQL; the rules are in `passwords`."""

from collections.abc import Iterator, Mapping, Sequence

from deploys.components import credentials, passwords, postgresql
from deploys.components.passwords import Use
from deploys.engine.instances import wanted_generations
from deploys.engine.invocation import Refused
from deploys.engine.resources import Facts, why_install
from deploys.engine.run import current_run, facts_of, here, hosts_of_run


def refuse_unknown_passwords() -> None:
    """A host that is given a password which the server has not heard of could not log in.

    Raises:
        Refused: a password is new, and --limit leaves out the server that is to take it.
    """
    left_out = [
        one for one in current_run().cluster.group("databases") if one.name not in hosts_of_run()
    ]
    for name, facts in facts_of(left_out).items():
        if [*postgresql.new_logins(here().settings, facts["postgresql"])]:
            raise Refused(
                f"nothing was changed: a password of PostgreSQL is new, and --limit leaves out"
                f" {name}, which would refuse it; run without --limit"
            )


def uses(answer: Facts) -> Mapping[str, Sequence[Use]]:
    """Who uses passwords of before, by login."""
    return passwords.uses(here().settings, answer, wanted_generations(), _hosts())


def _hosts() -> Iterator[str]:
    """Hosts that may have passwords of before in their files: those that this run left out."""
    left_out = [
        one for one in current_run().cluster.hosts.values() if one.name not in hosts_of_run()
    ]
    facts = facts_of(left_out)
    for one in left_out:
        if one.name not in facts:
            yield f"{one.name}, which cannot be asked"
        elif why_install(credentials.config(one), facts[one.name]):
            yield one.name
