"""Statistics of few seeds: paired intervals, corrections for many trials, and power. Pure.

`paired` gives an effect with an interval from two sets of seeds, `many` corrects for the number tried and computes
what chance alone would show, `power` the effect that n seeds find. Import from the modules: SciPy loads with them.
"""
