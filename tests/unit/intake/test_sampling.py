from __future__ import annotations

from collections import Counter
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.intake.sampling import drawn, shares_of


def population(**strata: int) -> list[tuple[UUID, str]]:
    return [(UUID(int=1000 * ord(name) + n), name) for name, size in strata.items() for n in range(size)]


def test_the_same_seed_draws_the_same_whatever_the_order() -> None:
    everyone = population(a=50, b=30, c=20)
    assert drawn(everyone, 10, "7") == drawn(everyone[::-1], 10, "7")
    assert drawn(everyone, 10, "7") != drawn(everyone, 10, "8")


def test_strata_give_in_proportion_and_none_is_left_out() -> None:
    assert shares_of({"a": 50, "b": 30, "c": 20}, 10) == {"a": 5, "b": 3, "c": 2}
    assert shares_of({"a": 997, "b": 2, "c": 1}, 10) == {"a": 8, "b": 1, "c": 1}
    assert shares_of({"a": 3, "b": 2}, 1) == {"a": 1, "b": 0}
    assert shares_of({"a": 3, "b": 2}, 9) == {"a": 3, "b": 2}
    assert shares_of({}, 5) == {}


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 200), min_size=1), st.integers(1, 500))
def test_every_sample_has_its_size_and_stays_within_its_strata(sizes: dict[str, int], size: int) -> None:
    shares = shares_of(sizes, size)
    assert sum(shares.values()) == min(size, sum(sizes.values()))
    assert all(0 <= shares[name] <= sizes[name] for name in sizes)
    sample = drawn(population(**sizes), size, "seed")
    assert Counter(stratum for _, stratum in sample) == Counter({name: n for name, n in shares.items() if n})
    assert len(set(sample)) == len(sample)


def test_everybody_is_drawn_about_equally_often() -> None:
    counts = Counter(one for seed in range(400) for one, _ in drawn(population(a=20), 5, str(seed)))
    assert min(counts.values()) > 60
    assert max(counts.values()) < 150
