-- Where whom we pay, or who applied, lives or lived in an institution (notice 4.6).
SELECT DISTINCT f.person_id, f.org_code, f.from_on, f.to_on
FROM feed f
JOIN concerned c ON c.person_id = f.person_id
ORDER BY f.person_id, f.from_on, f.to_on, f.org_code
