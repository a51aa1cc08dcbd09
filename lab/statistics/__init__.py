"""What a handful of seeds can say: paired intervals, the price of having tried many, and power. Pure.

`paired` turns two sets of seeds into an effect with an interval, `many` corrects it for the number tried and says
what luck alone would show, `power` says what n seeds could have found. Import from the modules: SciPy loads with them.
"""
