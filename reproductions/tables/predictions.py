"""Points that a table's claims predict against one of its rows, put together."""

from __future__ import annotations

from collections.abc import Sequence

from reproductions.tables.base import Claim, Row


def losses(claims: Sequence[Claim], full: Row) -> dict[str, float]:
    """Predicted points of `full` over each row that predictions link to it, by the row's name.

    The first link found, in the order of the claims, stands.

    Args:
        claims: of a table; `predicted` is the left row minus the right one.
        full: the row with all negatives, which loses nothing.
    """
    known = {full.name: 0.0}
    linked = True
    while linked:
        linked = False
        for claim in (each for each in claims if each.predicted is not None):
            left, right = claim.left.name, claim.right.name
            assert claim.predicted is not None
            if left in known and right not in known:
                known[right], linked = known[left] + claim.predicted, True
            elif right in known and left not in known:
                known[left], linked = known[right] - claim.predicted, True
    return known
