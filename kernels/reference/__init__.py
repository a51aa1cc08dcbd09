"""The meaning of every operator: naive recurrences and definitions in float64, each citing its paper."""
