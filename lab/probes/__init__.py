"""Rung 1: synthetic tasks that tell mechanisms apart in seconds. One file a probe; needs NumPy only.

To add one: a file beside these, and its name in a tuple of `move37.lab.probes.run`.
"""
