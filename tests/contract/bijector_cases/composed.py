"""Bijectors made of others."""

CASES = ()
