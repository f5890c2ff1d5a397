"""Judging a county, a prefecture or the nation: the same rules over Arrow record batches."""
