"""Other people's architectures and logs, judged by our gates and our statistics.

`programs` reads them, `adapt` turns a layer into a candidate, `ecosystem` has definitions in place of its imports,
`run` runs every gate on every program in the sandbox, `logs` asks which kept gains of a loop survive a correction.
"""
