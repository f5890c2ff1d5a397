"""Reproducible stratified samples for spot checks of archives (抽查, notice 5.3): the same seed draws the same."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from uuid import UUID


def drawn(population: Iterable[tuple[UUID, str]], size: int, seed: str) -> list[tuple[UUID, str]]:
    """`size` of the population of (application, stratum), or all of a smaller one, by stratum.

    Each stratum gives in proportion to its size, by the largest remainders; while there is room for all strata none is
    left out. Who is drawn within one follows from the seed and the ids alone, not from their order.
    """
    strata: dict[str, list[UUID]] = defaultdict(list)
    for application_id, stratum in population:
        strata[stratum].append(application_id)
    shares = shares_of({stratum: len(ids) for stratum, ids in strata.items()}, size)
    return [
        (application_id, stratum)
        for stratum in sorted(strata)
        for application_id in sorted(strata[stratum], key=lambda one: _lot(seed, one))[: shares[stratum]]
    ]


def shares_of(sizes: Mapping[str, int], size: int) -> dict[str, int]:
    """How many of each stratum are drawn; together `size`, or the whole population if that is less."""
    total = sum(sizes.values())
    size = min(size, total)
    if size == 0:
        return dict.fromkeys(sizes, 0)
    least = 1 if size >= len(sizes) else 0
    shares = {stratum: max(least, size * count // total) for stratum, count in sizes.items()}
    while (over := sum(shares.values()) - size) != 0:
        step = -1 if over > 0 else 1
        open_strata = [s for s in sizes if least <= shares[s] + step <= sizes[s]]
        exact = {s: size * sizes[s] / total for s in open_strata}
        # The stratum that is furthest from its exact share gives or gets; of equal ones the first by name.
        chosen = max(sorted(open_strata), key=lambda s: step * (exact[s] - shares[s]))
        shares[chosen] += step
    return shares


def _lot(seed: str, application_id: UUID) -> bytes:
    return hashlib.sha256(f"{seed}:{application_id}".encode()).digest()
