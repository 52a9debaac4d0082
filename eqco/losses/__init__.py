"""The losses, from similarities to modules."""
