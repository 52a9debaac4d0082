"""Runs: from a recipe to a record, resumable, in this process or in others."""
