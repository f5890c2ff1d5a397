"""Where each fen of an entitled month is (notice 6.1): nothing is silent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MonthAccount:
    """One person, subsidy and month, in fen:

    entitled = paid + in flight + held + unpayable + due - overpaid.
    """

    entitled_fen: int
    paid_fen: int
    in_flight_fen: int
    held_fen: int
    unpayable_fen: int
    due_fen: int
    overpaid_fen: int

    @property
    def owed_fen(self) -> int:
        """What the person still waits for without a finding in the way: due now, or as soon as there is an account."""
        return self.due_fen + self.unpayable_fen


def account_for(
    *, entitled_fen: int, paid_fen: int, sent_fen: int, pending_fen: int, held: bool, payable: bool
) -> MonthAccount:
    """The account of one month.

    `paid_fen`: settled, less what was recovered. `sent_fen` is with the bank and cannot be stopped; `pending_fen` is
    drawn up and still can be: it counts as in flight only as long as nothing stops it.
    `held`: a finding holds the month; `payable`: there is an account to pay to.
    """
    rest_fen = max(0, entitled_fen - paid_fen - sent_fen)
    stoppable_fen = min(pending_fen, rest_fen) if payable and not held else 0
    return MonthAccount(
        entitled_fen=entitled_fen,
        paid_fen=paid_fen,
        in_flight_fen=sent_fen + stoppable_fen,
        held_fen=rest_fen if held else 0,
        unpayable_fen=rest_fen if not held and not payable else 0,
        due_fen=rest_fen - stoppable_fen if payable and not held else 0,
        overpaid_fen=max(0, paid_fen + sent_fen - entitled_fen),
    )
