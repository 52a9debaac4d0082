"""What the rest stands on: files, processes, random numbers, validation."""
