"""Logins: the roles by which passwords let somebody in, as members of the role they act as.

PostgreSQL keeps one password per role. With a login for each password, a changed one is taken
beside the one of before until nobody uses that any more.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from stellwerk.database.quoting import quote_identifier
from stellwerk.database.roles import Attribute, Role, RoleState
from stellwerk.database.statement import Statement

LONGEST_NAME: Final = 63  # of PostgreSQL's names, in bytes
# Tells a password from the one of before, but narrows down a guess by 12 bits only: everybody who
# may log in sees it.
_MARK_DIGITS: Final = 3


def login_of(role: str, password: str) -> str:
    """The name of the login by which a password lets in as a role.

    One new password in 4096 has the login of its predecessor, which then ends at once.
    """
    mark = hashlib.sha256(f"{role}:{password}".encode()).hexdigest()[:_MARK_DIGITS]
    return f"{role[: LONGEST_NAME - _MARK_DIGITS - 1]}_{mark}"


def with_logins(role: Role) -> tuple[Role, ...]:
    """A role with a password as two: one that has the rights, and one that logs in and acts as it.

    What the login creates belongs to the role, and its limit and settings are those of the role.
    """
    if role.password is None:
        return (role,)
    rights = Role(
        role.name, attributes=role.attributes - {Attribute.LOGIN}, memberships=role.memberships
    )
    login = replace(
        role,
        name=login_of(role.name, role.password),
        settings={**role.settings, "role": role.name},
        memberships=frozenset({role.name}),
    )
    return (rights, login)


def former_logins(role: Role, existing: Mapping[str, RoleState]) -> Mapping[str, RoleState]:
    """The logins of a role that still let in by a password of before, by name."""
    if role.password is None:
        return {}
    present = login_of(role.name, role.password)
    prefix = re.escape(present[:-_MARK_DIGITS])
    pattern = re.compile(f"{prefix}[0-9a-f]{{{_MARK_DIGITS}}}")
    return {
        name: state
        for name, state in existing.items()
        if name != present
        and pattern.fullmatch(name)
        and role.name in state.memberships
        and Attribute.LOGIN in state.attributes
    }


def withdrawal(login: str) -> Statement:
    """What ends a login. One that owns something of its own is kept for it, without a password."""
    name = quote_identifier(login)
    return Statement(
        summary=f"withdraw login {login}",
        sql=(
            f"DO $withdrawal$ BEGIN DROP ROLE {name};"
            f" EXCEPTION WHEN dependent_objects_still_exist THEN"
            f" ALTER ROLE {name} NOLOGIN PASSWORD NULL; END $withdrawal$"
        ),
    )
