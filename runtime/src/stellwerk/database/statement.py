"""One SQL statement of a plan, and the psql script that runs a plan."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from stellwerk.database.quoting import quote_identifier

MAINTENANCE_DATABASE: Final = "postgres"
"""Where statements run that concern the whole server."""


@dataclass(frozen=True)
class Statement:
    """SQL without its semicolon, the database to run it in, and a line that may be shown.

    `sql` may hold a password's verifier, so it is kept out of the representation.
    """

    summary: str
    sql: str = field(repr=False)
    database: str = MAINTENANCE_DATABASE


def psql_script(statements: Iterable[Statement]) -> str:
    """The text for psql's standard input that runs `statements` in order, each on its own.

    The first error ends it with psql's exit status 3. Run it as `psql -XAtq -d postgres`.
    """
    lines = ["\\set ON_ERROR_STOP on", "\\set QUIET on"]
    database = None
    for statement in statements:
        if statement.database != database:
            database = statement.database
            lines.append(f"\\connect {quote_identifier(database)}")
        lines.append(f"{statement.sql};")
    return "\n".join(lines) + "\n"
