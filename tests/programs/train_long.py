"""Imported (or `pytest -p`): runs of scale smoke take minutes instead of seconds."""

from dataclasses import replace

from reproductions.scales import SCALES

SCALES["smoke"] = replace(SCALES["smoke"], base=replace(SCALES["smoke"].base, epochs=3000))
