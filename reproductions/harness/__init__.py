"""What pytest needs to run the tables."""
