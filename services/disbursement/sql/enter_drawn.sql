-- Enters what was drawn up into months that have their partition; ordered, as others who enter at the same time.
INSERT INTO payments (payment_id, period, person_id, subsidy, attempt, cycle_id, area, level, amount_fen, offset_fen,
                      offset_recovery_id, entitled_fen, paid_before_fen, entitlement_version)
SELECT payment_id, period, person_id, subsidy, attempt, cycle_id, area, level, amount_fen, offset_fen,
       offset_recovery_id, entitled_fen, paid_before_fen, entitlement_version
FROM drawn
ORDER BY period, person_id
