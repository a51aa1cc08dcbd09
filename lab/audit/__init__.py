"""Other people's architectures and logs, judged by our gates and our statistics.

`programs` reads them, `adapt` brings a layer to the candidate contract, `ecosystem` is what its imports are served by,
`run` puts every gate to every program in the sandbox, `logs` asks which kept gains of a loop survive. Import modules.
"""
