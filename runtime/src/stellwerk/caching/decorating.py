"""Functions whose results a layer keeps: calculations by their inputs, answers by what they vary
by.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import ParamSpec, TypeVar

from stellwerk.caching.errors import DeclarationError
from stellwerk.caching.layer import Layer

P = ParamSpec("P")
R = TypeVar("R")


def cached(
    layer: Layer[R], /, **constants: object
) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]:
    """Keep what a coroutine function returns in a layer, by its arguments.

    Arguments and `constants` are the fields of the key; where its last field is a hash, the other
    arguments are what is hashed, with their types. Where the layer declares vary_by, arguments
    that are neither fields nor in it do not tell entries apart.

        @cached(cache.layer("calculation.risk_assessment"))
        async def risk(portfolio_id: int, horizon_days: int) -> Risk: ...

    Raises DeclarationError at once where the function lacks an argument that the key needs.
    """

    def decorate(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        signature = inspect.signature(function)
        _refuse_missing(layer, {*signature.parameters, *constants}, function.__qualname__)

        @wraps(function)
        async def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            fields = _telling(layer, bound.arguments) | constants
            return await layer.get_by(fields, lambda: function(*args, **kwargs))

        return wrapper

    return decorate


def _telling(layer: Layer[R], arguments: Mapping[str, object]) -> dict[str, object]:
    """The arguments that tell entries apart."""
    declaration = layer.declaration
    if not declaration.vary_by:
        return dict(arguments)
    telling = {*declaration.pattern.fields, *declaration.vary_by}
    return {name: value for name, value in arguments.items() if name in telling}


def _refuse_missing(layer: Layer[R], given: set[str], function: str) -> None:
    declaration = layer.declaration
    needed = {*declaration.plain_fields, *declaration.vary_by}
    if missing := needed - given:
        raise DeclarationError(
            f"{function} lacks the argument {min(missing)}, which entries of {layer.name} need:"
            " add it, or give it to cached()."
        )
