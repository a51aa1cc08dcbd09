"""Several erase-and-write steps a token: DeltaProduct and Gated DeltaProduct."""
