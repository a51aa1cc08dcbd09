"""The PyTorch implementations, on any device: chunkwise forms with hand-written backward passes."""
