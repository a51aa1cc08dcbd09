"""A number as decay, with or without the erase term: linear attention, RetNet, Mamba-2, DeltaNet, Gated DeltaNet."""
