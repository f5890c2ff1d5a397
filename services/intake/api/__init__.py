"""Intake over REST."""
