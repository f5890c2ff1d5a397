"""Deadlines of matching's work."""

VERIFICATION_WORKING_DAYS = 10
"""How long a lead may wait for its verification (核查期限); the default of policy's `finding.verification_days`."""
