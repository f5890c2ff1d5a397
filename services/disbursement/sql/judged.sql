-- Common table expressions behind `months` (sql/recorded.sql): what stands in the way of paying each.
/* holds */,
judged AS (
    SELECT m.*, h.finding_id, h.hold_kind, u.obstacle
    FROM months m
    LEFT JOIN holds h ON h.person_id = m.person_id AND h.subsidy = m.subsidy AND h.hold_from <= m.period
    LEFT JOIN unpayable u ON u.person_id = m.person_id
)
