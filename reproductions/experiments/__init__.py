"""Experiments: which runs, planned before they are made, and what is compared in them."""
