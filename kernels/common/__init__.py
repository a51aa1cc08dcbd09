"""What several operators share: layout in chunks, the scan of states, triangular solve, packing, Triton tiles."""
