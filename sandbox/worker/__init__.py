"""What runs inside, beside untrusted code: standard library and torch only.

It is copied into the image as it is; the process backend builds its supervisor from the same parts. Start at `jobs`.
"""
