"""What runs inside a job: the trusted process that holds data, loss and optimiser, and the candidate's own process.

Read in this order: `process_locks` (what the candidate's process may not do), `wire` (messages and tensors between two
processes), `candidate` (the only file that executes a candidate), `spawner` (makes such processes), `remote` (a mixer
as the trusted process sees it), then who uses them: `train`, `answer` and the gates' engine.

Everything here travels into the sandbox. It imports torch, einops, safetensors and those modules of the lab that
import no more. Nothing here may import what stays outside.
"""
