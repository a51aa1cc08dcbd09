"""The operators, a folder each: api (public functions), naive (the meaning), chunked (any device), triton (GPU)."""
