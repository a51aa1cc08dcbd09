"""Log-linear attention: a state for each bucket of a Fenwick tree over the past instead of one."""
