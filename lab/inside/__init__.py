"""What runs inside a job: the trusted process that holds data, loss and optimiser, and the candidate's own process.

Read in this order: `process_locks` (what the candidate's process may not do), `wire` (messages and tensors between two
processes), `candidate` (the only file that executes a candidate), `spawner` (makes such processes), `remote` (a mixer
as the trusted process sees it), then who uses them: `train`, `answer` and the gates' engine.

All files here are copied into the sandbox. They import torch, einops, safetensors and modules of the lab that import
no more.
"""
