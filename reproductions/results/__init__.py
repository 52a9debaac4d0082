"""The committed records, the paper's numbers, and what follows."""
