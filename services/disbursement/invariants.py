"""What must hold of the money at any time (notice 4.1, 6.1). Each query returns what breaks it."""

from __future__ import annotations

from libs.common.invariants import Invariant
from services.disbursement.queries import sql

INVARIANTS = [
    Invariant(
        "books balance",
        "in every book debits equal credits, and no account but those of what came in is overdrawn; what was paid by no"
        " more than was given back or up (whoever repaid what the bank then returned too is owed it, and an"
        " institution what it spent of that)",
        "SELECT book_area, subsidy, book_year, CAST(NULL AS text) AS account, sum(balance_fen) AS balance_fen"
        " FROM balances GROUP BY book_area, subsidy, book_year HAVING sum(balance_fen) <> 0"
        " UNION ALL SELECT book_area, subsidy, book_year, account, balance_fen FROM balances"
        " WHERE account NOT IN ('appropriated', 'brought_forward', 'paid', 'institution_funds') AND balance_fen < 0"
        " UNION ALL SELECT book_area, subsidy, book_year, 'paid', sum(balance_fen) FROM balances"
        " WHERE account IN ('paid', 'institution_funds', 'refunded', 'written_off')"
        " GROUP BY book_area, subsidy, book_year HAVING sum(balance_fen) < 0",
    ),
    Invariant(
        "ledger equals payments",
        "per book and account the accounts of persons add up to it: committed is what is not sent, clearing what is"
        " with the bank; and per person what was paid, claimed, repaid and written off is what was settled here or paid"
        " elsewhere before",
        sql("control"),
    ),
    Invariant(
        "institutions' funds are the children's",
        "what was paid to an institution is booked as its child's money, and used for that child with a receipt to the"
        " fen",
        sql("institution_control"),
    ),
    Invariant(
        "every entitled month is accounted for",
        "whatever was due when a cycle was drawn up over it is paid, on its way, held, or unpayable with a reason",
        sql("silent"),
    ),
    Invariant(
        "whoever is noted as paid up is",
        "of nobody is a month due or on its way up to the one that everything is noted as paid",
        sql("paid_up_wrongly")
        .replace(":since", "'-infinity'")
        .replace(":upto", "(SELECT max(paid_up_to) FROM entitlements)"),
    ),
    Invariant(
        "no month is paid twice",
        "what was settled for a month beyond its entitlement is claimed back, to the fen",
        sql("unclaimed"),
    ),
    Invariant(
        "ledger equals the bank's statement",
        "of every payment with a result the bank's last statement says the same, or a case names the difference",
        "SELECT p.payment_id, p.status, p.amount_fen, p.offset_fen, l.status AS bank_status, l.amount_fen AS bank_fen"
        " FROM payments p JOIN statement_lines l USING (payment_id)"
        " WHERE (l.amount_fen <> p.amount_fen - p.offset_fen OR (l.status = 'failed') <> (p.status = 'failed')"
        " AND p.status IN ('settled', 'failed', 'returned') AND l.status <> 'accepted')"
        " AND NOT EXISTS (SELECT FROM cases k WHERE k.payment_id = p.payment_id)",
    ),
]
