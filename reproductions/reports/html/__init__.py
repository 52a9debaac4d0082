"""The report on the records: one HTML page without other files."""
