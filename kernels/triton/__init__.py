"""The GPU implementations. Only modules of this folder import Triton, and they are imported when a call needs them."""
