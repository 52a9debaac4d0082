"""Files of a run: its record, its checkpoint, an exported backbone."""
