"""A decay for every key coordinate: gated linear attention."""
