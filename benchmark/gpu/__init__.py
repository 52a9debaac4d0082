"""Ten minutes on a CUDA device: whether it is right, and how fast."""
