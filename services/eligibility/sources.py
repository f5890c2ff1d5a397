"""Whose word counts when two sources say different things of the same day and knew it at the same moment."""

from __future__ import annotations

from libs.common.vocabulary import Channel

REVIEW = "review"
"""The reviewers of an application, who saw the papers."""

ROSTER = "roster"
"""A roster that was taken over: what was paid on before, seen by nobody here."""

_RANKS = {
    "partner": 10,
    ROSTER: 15,
    REVIEW: 20,
    "verification": 30,
    "benefits": 40,
    "population": 40,
    "low_income": 50,
    "certificates": 50,
    "cremations": 50,
    "deaths": 50,
    "prisons": 50,
    "court_declarations": 60,
}
_UNLISTED = 10


def rank_of(source: str) -> int:
    """The rank of a source, or of the kind in front of a colon (`partner:one-thing`); higher counts more."""
    return _RANKS.get(source, _RANKS.get(source.partition(":")[0], _UNLISTED))


def source_of(channel: Channel) -> str:
    """Who vouches for the facts of an application that was approved."""
    return ROSTER if channel == "roster" else REVIEW
