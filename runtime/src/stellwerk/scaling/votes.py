"""How what several rules ask for becomes one demand. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from stellwerk.scaling.model import Direction, Vote

_ORDER: Final = {Direction.UP: 2, Direction.NONE: 1, Direction.DOWN: 0}


def winner(votes: Iterable[Vote]) -> Vote | None:
    """The vote that counts: up before none before down, and of one direction the larger count, so
    that the number goes down only where all agree.
    """
    return max(votes, key=lambda vote: (_ORDER[vote.direction], vote.count), default=None)


def winner_of_groups(groups: Mapping[str, Sequence[Vote]]) -> Vote | None:
    """The vote that counts among named groups. Within one, "none" counts only if all say so."""
    spoken = []
    for votes in groups.values():
        moved = [vote for vote in votes if vote.direction is not Direction.NONE]
        best = winner(moved or votes)
        if best is not None:
            spoken.append(best)
    return winner(spoken)
