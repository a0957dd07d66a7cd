"""`python -m deploys.seeing plan|drift`."""

# First of all: it makes the standard library cooperative, before anything else takes from it.
import pyinfra_cli  # type: ignore[import-untyped]  # noqa: F401  # isort: skip

from deploys.seeing.command import main

main()
