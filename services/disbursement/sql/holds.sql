-- Common table expression after `scope`: what holds payments of its persons, from which month on; of several, the first.
holds AS (
    SELECT DISTINCT ON (person_id, subsidy) *
    FROM (
        SELECT f.person_id, held AS subsidy, f.finding_id, f.kind AS hold_kind, f.hold_from
        FROM findings f
        CROSS JOIN LATERAL unnest(f.subsidies) AS held
        WHERE f.lifted_at IS NULL
        UNION ALL
        -- An event about the person that could not be taken in may be a stop.
        SELECT CASE WHEN event_id IS NOT NULL THEN convert_from(body, 'UTF8')::jsonb ->> 'subject' END,
               held, NULL, 'event_unread', DATE '0001-01-01'
        FROM dead_letters
        CROSS JOIN (VALUES ('living'), ('care')) AS each_of (held)
        WHERE resolved_at IS NULL
        UNION ALL
        -- A portion is about many.
        SELECT person_id #>> '{}', held, NULL, 'event_unread', DATE '0001-01-01'
        FROM dead_letters
        CROSS JOIN LATERAL jsonb_path_query(
            CASE WHEN event_id IS NOT NULL THEN convert_from(body, 'UTF8')::jsonb END, '$.data.recipients[*].person_id'
        ) AS person_id
        CROSS JOIN (VALUES ('living'), ('care')) AS each_of (held)
        WHERE resolved_at IS NULL
        UNION ALL
        -- Nor can eligibility judge whoever an event that it could not take in is about.
        SELECT b.person_id, held, NULL, 'judgement_blocked', DATE '0001-01-01'
        FROM blocked_judgements b
        CROSS JOIN (VALUES ('living'), ('care')) AS each_of (held)
        WHERE b.blocked
    ) AS reasons
    WHERE person_id IN (SELECT person_id FROM scope)
    ORDER BY person_id, subsidy, hold_from
)
