-- Where each fen of one month of an area is, in all:
-- entitled = paid + in flight + held + unpayable + due - overpaid, as `balance.py` says of one person.
WITH scope AS (
    SELECT DISTINCT person_id, subsidy
    FROM entitled_spans
    WHERE area LIKE :area || '%' AND months @> CAST(:upto AS date)
    UNION
    SELECT person_id, subsidy FROM payments WHERE area LIKE :area || '%' AND period = CAST(:upto AS date)
    UNION
    SELECT person_id, subsidy FROM openings WHERE area LIKE :area || '%' AND months @> CAST(:upto AS date)
),
/* months */,
/* judged */,
parts AS (
    SELECT person_id, entitled_fen, paid_fen, sent_fen,
           hold_kind IS NOT NULL AS held, obstacle IS NOT NULL AS unpayable,
           greatest(entitled_fen - paid_fen - sent_fen, 0) AS rest_fen,
           CASE WHEN hold_kind IS NULL AND obstacle IS NULL
                THEN least(pending_fen, greatest(entitled_fen - paid_fen - sent_fen, 0)) ELSE 0 END AS stoppable_fen
    FROM judged
    WHERE period = CAST(:upto AS date)
)
SELECT count(DISTINCT person_id) FILTER (WHERE entitled_fen > 0) AS persons_entitled,
       coalesce(sum(entitled_fen), 0)::bigint AS entitled_fen,
       coalesce(sum(paid_fen), 0)::bigint AS paid_fen,
       coalesce(sum(sent_fen + stoppable_fen), 0)::bigint AS in_flight_fen,
       coalesce(sum(rest_fen) FILTER (WHERE held), 0)::bigint AS held_fen,
       coalesce(sum(rest_fen) FILTER (WHERE unpayable AND NOT held), 0)::bigint AS unpayable_fen,
       coalesce(sum(rest_fen - stoppable_fen) FILTER (WHERE NOT held AND NOT unpayable), 0)::bigint AS due_fen,
       coalesce(sum(greatest(paid_fen + sent_fen - entitled_fen, 0)), 0)::bigint AS overpaid_fen
FROM parts
