"""Rung 1: synthetic tasks that distinguish mechanisms within seconds. One file a probe; needs NumPy only.

To add one: a file beside these, and its name in a tuple of `move37.lab.probes.run`.
"""
