"""Verdicts and intervals."""
