"""Attacks on the sandbox, each a small program and the property that must hold; `table.py` is where to start."""
