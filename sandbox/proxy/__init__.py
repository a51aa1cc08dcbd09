"""What stands between a worker and the Docker engine in compose.yaml: only what the sandbox needs gets through.

`rules` decides (pure), `server` carries bytes. Standard library and `move37.sandbox.docker.confinement` only.
"""
