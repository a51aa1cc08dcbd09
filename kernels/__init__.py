"""Delta-rule family building blocks: reference, chunked PyTorch and Triton, behind one contract. Imports lazily."""
