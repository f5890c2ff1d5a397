-- Months settled beyond their entitlement by more, or less, than is claimed for them.
WITH paid AS (
    SELECT person_id, subsidy, period, sum(amount_fen) AS settled_fen
    FROM (
        SELECT person_id, subsidy, period, amount_fen FROM payments WHERE status = 'settled'
        UNION ALL
        -- Of who is taken over the schedule is still to come.
        SELECT person_id, subsidy, period, amount_fen FROM opening_months JOIN entitlements USING (person_id, subsidy)
    ) AS either
    GROUP BY person_id, subsidy, period
),
claimed AS (
    SELECT r.person_id, r.subsidy, m.period, sum(m.claimed_fen) AS claimed_fen,
           sum(m.repaid_fen) AS repaid_fen
    FROM recoveries r
    JOIN recovery_months m USING (recovery_id)
    GROUP BY r.person_id, r.subsidy, m.period
)
SELECT p.person_id, p.subsidy, p.period, p.settled_fen,
       due.entitled_fen, coalesce(c.claimed_fen, 0) AS claimed_fen
FROM paid p
LEFT JOIN entitled_spans s ON s.person_id = p.person_id AND s.subsidy = p.subsidy AND s.months @> p.period
LEFT JOIN disallowances d ON d.person_id = p.person_id AND d.subsidy = p.subsidy AND d.period = p.period
LEFT JOIN claimed c ON c.person_id = p.person_id AND c.subsidy = p.subsidy AND c.period = p.period
CROSS JOIN LATERAL (
    SELECT CASE WHEN d.whole THEN 0 ELSE greatest(coalesce(s.amount_fen, 0) - coalesce(d.amount_fen, 0), 0) END AS entitled_fen
) AS due
WHERE greatest(p.settled_fen - due.entitled_fen, coalesce(c.repaid_fen, 0), 0) <> coalesce(c.claimed_fen, 0)
