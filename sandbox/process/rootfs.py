"""The file system that a job sees: the system's programs and this interpreter, read-only, and nothing of the host's.

`build` runs in the supervisor's own mount namespace: a small tmpfs becomes the root, with read-only binds of /usr and
of the interpreter's folders, a handful of devices, and an /etc of our own making. /home, /root, /var, /opt, /srv, the
project and its archive are not there unless the interpreter itself lives in them, and then only its own folder is.

Not covered: a distribution that keeps its programs elsewhere than in /usr, /bin, /sbin, /lib* or /nix.
"""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
from pathlib import Path

from move37.sandbox.process import syscalls

JOB = "/job"
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "mime.types")
DEVICES = ("null", "zero", "full", "random", "urandom")
SPARE_DEVICES = "/.devices"  # GPU devices wait here; a job that leased one gets it in /dev
PASSWD = "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/job/home:/bin/sh\n"
GROUP = "root:x:0:\nnogroup:x:65534:\n"


def interpreter_folders() -> list[Path]:
    """Where this Python and its packages live; never a project that is installed in place."""
    folders = [Path(sys.prefix), Path(sys.base_prefix), Path(os.path.realpath(sys.executable)).parent.parent]
    folders += [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    found: list[Path] = []
    for folder in sorted({path.resolve() for path in folders} | {path.absolute() for path in folders}):
        inside = any(folder.is_relative_to(outer) for outer in (*found, *map(Path, SYSTEM)))
        if folder.is_dir() and not inside and folder != Path("/"):
            found.append(folder)
    return found


def readable() -> list[str]:
    """What a job may read and run, by path; also what Landlock is told where there is no rootfs."""
    return [*SYSTEM, *map(str, interpreter_folders()), *(f"/etc/{name}" for name in ETC)]


def build(root: str, *, uid: int, gid: int) -> None:
    """Make the view at `root` and move into it. In a mount namespace of our own; raises `OSError`."""
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.mount("move37", root, "tmpfs", syscalls.MS_NOSUID, "size=4m,mode=755")
    for path in SYSTEM:
        if os.path.islink(path):
            os.symlink(os.readlink(path), root + path)
        elif os.path.isdir(path):
            _bind_folder(path, root)
    for folder in interpreter_folders():
        _bind_folder(str(folder), root)
    _make_etc(root)
    _make_devices(root)
    for name in ("proc", "tmp", "job", "old", "var/tmp", "run"):
        os.makedirs(f"{root}/{name}", exist_ok=True)
    for name in ("tmp", "var/tmp"):
        # An interpreter that lives below /tmp was shown there: then the folder stays, and only $TMPDIR can be written.
        if not os.listdir(f"{root}/{name}"):
            os.rmdir(f"{root}/{name}")
            os.symlink(f"{JOB}/tmp", f"{root}/{name}")
    os.chdir(root)
    syscalls.pivot_root(".", "old")
    os.chdir("/")


def leave_old_root() -> None:
    """The last step, once /proc stands on its own: nothing of the host's tree stays reachable."""
    syscalls.umount("/old", syscalls.MNT_DETACH)
    os.rmdir("/old")
    syscalls.mount("none", "/", None, syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY | syscalls.MS_NOSUID)


def _bind_folder(path: str, root: str) -> None:
    target = root + path
    os.makedirs(target, mode=0o755, exist_ok=True)
    syscalls.mount(path, target, None, syscalls.MS_BIND | syscalls.MS_REC)
    syscalls.make_read_only(target)


def _make_etc(root: str) -> None:
    etc = Path(root, "etc")
    etc.mkdir()
    (etc / "passwd").write_text(PASSWD)
    (etc / "group").write_text(GROUP)
    (etc / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")
    for name in ETC:
        source, target = Path("/etc", name), etc / name
        if source.is_dir():
            target.mkdir()
        elif source.is_file():
            target.touch()
        else:
            continue
        syscalls.mount(str(source), str(target), None, syscalls.MS_BIND | syscalls.MS_REC)
        with contextlib.suppress(OSError):
            syscalls.make_read_only(str(target))


def _make_devices(root: str) -> None:
    os.makedirs(f"{root}/dev/shm")
    os.mkdir(f"{root}{SPARE_DEVICES}", 0o711)
    nodes = [(f"/dev/{name}", f"{root}/dev/{name}") for name in DEVICES]
    nodes += [(str(path), f"{root}{SPARE_DEVICES}/{path.name}") for path in gpu_devices()]
    for source, target in nodes:
        Path(target).touch()
        syscalls.mount(source, target, None, syscalls.MS_BIND)
    for path in gpu_devices():
        Path(f"{root}/dev/{path.name}").touch()
    for name, aim in (("fd", "self/fd"), ("stdin", "self/fd/0"), ("stdout", "self/fd/1"), ("stderr", "self/fd/2")):
        os.symlink(f"/proc/{aim}", f"{root}/dev/{name}")


def gpu_devices() -> list[Path]:
    """Character devices of NVIDIA's driver."""
    return sorted(path for path in Path("/dev").glob("nvidia*") if path.is_char_device())
