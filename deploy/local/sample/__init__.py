"""A county that does not exist: persons, families, feeds and applications of any number, from a seed.

Names are drawn at random and numbers formed by rule; any likeness to a real person is chance.
"""
