"""Runs code that we do not trust: Docker where it is, bare processes otherwise."""
