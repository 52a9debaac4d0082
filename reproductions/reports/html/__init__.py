"""The report: what the records say, as one HTML page that needs nothing else."""
