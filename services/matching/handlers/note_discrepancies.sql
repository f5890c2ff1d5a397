-- Discrepancies that were not known are kept; $1 to $13 are their columns as the rules give them, $14 new ids, $15 the
-- comparison, $16 the day.
WITH found AS (
    SELECT *
    FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::date[], $9::text[],
        $10::text[], $11::bigint[], $12::date[], $13::text[], $14::uuid[]
    ) AS f (
        person_id, kind, area, other_person_id, source, feed_id, feed_row, said_on, other_source, other_feed_id,
        other_feed_row, other_said_on, mark, discrepancy_id
    )
),
noted AS (
    INSERT INTO discrepancies (
        discrepancy_id, comparison_id, noted_on, person_id, kind, area, source, other_source, mark, evidence
    )
    SELECT discrepancy_id, $15, $16, person_id, kind, area, source, other_source, mark,
        jsonb_strip_nulls(jsonb_build_array(
            jsonb_build_object(
                'source', source, 'feed_id', feed_id, 'feed_row', feed_row::text, 'said_on', said_on,
                'person_id', person_id
            ),
            jsonb_build_object(
                'source', other_source, 'feed_id', other_feed_id, 'feed_row', other_feed_row::text,
                'said_on', other_said_on, 'person_id', other_person_id
            )
        ))
    FROM found
    ON CONFLICT DO NOTHING
    RETURNING discrepancy_id, person_id, kind, area, evidence
),
items AS (
    SELECT (row_number() OVER (ORDER BY discrepancy_id) - 1) / 500 AS part, row_to_json(noted)::text AS item FROM noted
)
SELECT count(*) AS noted, format('{"entry":"discrepancies","items":[%s]}', string_agg(item, ',')) AS entry
FROM items
GROUP BY part
ORDER BY part
