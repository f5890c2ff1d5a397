-- Leads become findings, all of a portion at once; run behind the locks of their persons. $1 to $12 are the leads' columns,
-- $13 to $15 the ids that each would need (uuidv7() takes ten times as long), $16 the day, $17 the comparison or NULL,
-- $18 the time of the events, $19 their trace as a member of JSON, or nothing.
--
-- What is known as a claim or as a fact is dropped (a death is known whatever its day). The rest is gathered by person,
-- kind and what it is about: it joins the finding that is open, which then holds from the earliest day alleged, also where
-- the county had released it, or opens one.
WITH said AS (
    SELECT *
    FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::text[], $5::date[], $6::text[], $7::text[], $8::date[], $9::text[],
        $10::uuid[], $11::bigint[], $12::text[], $13::uuid[], $14::uuid[], $15::uuid[]
    ) AS s (
        person_id, kind, about, source, alleged_on, area, hold_from, due_on, detail, feed_id, feed_row, reported_by,
        claim_id, new_id, event_id
    )
),
fresh AS (
    SELECT DISTINCT ON (s.person_id, s.kind, s.about, s.alleged_on, s.source)
        s.*, f.finding_id AS open_id
    FROM said s
    LEFT JOIN findings f
        ON f.person_id = s.person_id AND f.kind = s.kind AND f.about = s.about AND f.status = 'open'
    WHERE NOT EXISTS (
            SELECT FROM claims c
            WHERE c.person_id = s.person_id AND c.kind = s.kind AND c.about = s.about AND c.source = s.source
                AND c.alleged_on = s.alleged_on
        )
        AND NOT EXISTS (
            SELECT FROM standing_facts k
            WHERE k.person_id = s.person_id AND k.kind = s.kind AND k.about = s.about
                AND (k.occurred_on = s.alleged_on OR s.kind = 'person.died')
        )
    ORDER BY s.person_id, s.kind, s.about, s.alleged_on, s.source
),
gathered AS MATERIALIZED (
    SELECT *, coalesce(open_id, first_value(new_id) OVER subject) AS finding_id, row_number() OVER subject AS turn
    FROM fresh
    WINDOW subject AS (PARTITION BY person_id, kind, about ORDER BY alleged_on, source)
),
opening AS MATERIALIZED (
    SELECT * FROM gathered WHERE open_id IS NULL AND turn = 1
),
opened AS (
    INSERT INTO findings (
        finding_id, person_id, kind, about, area, alleged_on, hold_from, opened_on, due_on, assigned_to, detail,
        comparison_id
    )
    SELECT finding_id, person_id, kind, about, area, alleged_on, hold_from, $16, due_on, area, detail::jsonb, $17
    FROM opening
),
moved AS (
    UPDATE findings f
    SET alleged_on = least(f.alleged_on, g.alleged_on), hold_from = least(f.hold_from, g.hold_from), version = f.version + 1
    FROM gathered g
    WHERE f.finding_id = g.open_id AND g.turn = 1 AND (g.alleged_on < f.alleged_on OR g.hold_from < f.hold_from)
    RETURNING g.event_id, f.*
),
claimed AS (
    INSERT INTO claims (
        claim_id, finding_id, person_id, kind, about, source, alleged_on, detail, feed_id, feed_row, reported_by
    )
    SELECT claim_id, finding_id, person_id, kind, about, source, alleged_on, detail::jsonb, feed_id, feed_row, reported_by
    FROM gathered
),
told AS (
    INSERT INTO outbox (event_id, topic, key, type, aggregate, version, body)
    SELECT event_id, 'liangbu.matching', person_id, 'finding.opened.v1', 'finding:' || finding_id, version, format(
        '{"specversion":"1.0","id":"%s","source":"/liangbu/matching","type":"finding.opened.v1","subject":%s,"time":"%s",'
        '"datacontenttype":"application/json",%s"data":%s}',
        event_id, to_json(person_id), $18::text, $19::text, json_build_object(
            'person_id', person_id, 'version', version, 'finding_id', finding_id, 'kind', kind, 'area', area,
            'status', 'open', 'alleged_on', alleged_on, 'hold_from', hold_from, 'due_on', due_on
        )
    )
    FROM (
        SELECT event_id, person_id, finding_id, kind, area, alleged_on, hold_from, due_on, 1 AS version FROM opening
        UNION ALL
        SELECT event_id, person_id, finding_id, kind, area, alleged_on, hold_from, due_on, version FROM moved
    ) AS changed
),
entries AS (
    SELECT 'findings' AS entry, (row_number() OVER (ORDER BY finding_id) - 1) / 500 AS part, json_build_object(
        'finding_id', finding_id, 'person_id', person_id, 'kind', kind, 'area', area, 'alleged_on', alleged_on,
        'due_on', due_on
    )::text AS item
    FROM opening
    UNION ALL
    SELECT 'evidence', (row_number() OVER (ORDER BY finding_id, source) - 1) / 500, json_build_object(
        'finding_id', finding_id, 'source', source, 'alleged_on', alleged_on
    )::text
    FROM gathered
    WHERE open_id IS NOT NULL
)
SELECT
    ARRAY(
        SELECT format('{"entry":"%s","items":[%s]}', entry, string_agg(item, ',')) FROM entries GROUP BY entry, part
    ) AS entries,
    ARRAY(SELECT kind FROM opening GROUP BY kind ORDER BY kind) AS kinds,
    ARRAY(SELECT count(*) FROM opening GROUP BY kind ORDER BY kind) AS counts
