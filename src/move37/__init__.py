"""Move 37, an autonomous scientist for neural architectures: one import name for all its rooms.

The rooms stand at the top of the checkout (`agents/`, `sandbox/`, ...); the links beside this file make them packages of
`move37`, so that nothing of ours can collide with a foreign `agents` or `kernels`. A wheel holds them as real folders.
Importing this file loads none of them.
"""
