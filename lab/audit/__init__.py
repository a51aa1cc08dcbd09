"""Other people's architectures and logs, judged by our gates and our statistics.

`programs` reads them, `adapt` turns a layer into a candidate (`imports`: with what it takes from files beside it,
`served`: with definitions in place of the ecosystem's modules), `run` runs every gate on every program in the sandbox,
`reproducer` shows each failure on the shortest input, `logs` asks which kept gains of a loop survive a correction.
"""
