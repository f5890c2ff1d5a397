-- Takes out of what was drawn up what is not paid, and says why.
WITH excepted AS (
    DELETE FROM /* drawn */ WHERE outcome IS NOT NULL
    RETURNING cycle_id, person_id, subsidy, period, amount_fen, outcome, reason, finding_id
)
INSERT INTO cycle_exceptions (cycle_id, person_id, subsidy, period, amount_fen, outcome, reason, finding_id)
SELECT * FROM excepted
