"""The file system that a job sees: the system's programs and this interpreter, read-only, and nothing of the host's.

`build` runs in the supervisor's own mount namespace: a small tmpfs becomes the root, with read-only overlays of /usr
and of the interpreter's folders (binds where there is no overlay), a handful of devices, and an /etc of our own making.
/home, /root, /var, /opt, /srv, the project and its archive are not there unless the interpreter itself lives in them,
and then only its own folders are.

Not covered: a distribution that keeps its programs elsewhere than in /usr, /bin, /sbin, /lib* or /nix.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import sysconfig
from pathlib import Path

from move37.sandbox.worker import syscalls

JOB = "/job"
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "mime.types")
DEVICES = {"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}  # their minor numbers
PARTS = ("bin", "lib", "lib32", "lib64", "include", "share")
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
NOTHING = "/.nothing"  # an empty folder: an overlay has at least two below it
# Of /proc, what anybody may read of the host: interrupts (a side channel to keystrokes), settings, hardware.
MASKED_FILES = ("/proc/config.gz", "/proc/interrupts", "/proc/softirqs")
MASKED_FOLDERS = ("/proc/bus",)
SPARE_DEVICES = "/.devices"  # GPU devices wait here; a job that leased one gets it in /dev
PASSWD = "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/job/home:/bin/sh\n"
GROUP = "root:x:0:\nnogroup:x:65534:\n"


def prefixes() -> list[Path]:
    """Where this Python and its packages are installed."""
    found = {Path(sys.prefix), Path(sys.base_prefix), Path(os.path.realpath(sys.executable)).parent.parent}
    return sorted({path.resolve() for path in found} | {path.absolute() for path in found})


def interpreter_folders() -> list[Path]:
    """What a job needs of those; never the rest of a folder that is also a project, or a home."""
    wanted: list[Path] = []
    for prefix in prefixes():
        # A virtual environment shares its folder with whatever its user keeps there.
        own = ("bin", f"lib/{PYTHON}", f"lib64/{PYTHON}", "include", "share") if is_virtual(prefix) else PARTS
        wanted += [prefix / name for name in own]
    wanted += [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    found: list[Path] = []
    for folder in sorted({path.parent.resolve() / path.name for path in wanted}):
        inside = any(folder.is_relative_to(outer) for outer in (*found, *map(Path, SYSTEM)))
        if folder.is_dir() and not folder.is_symlink() and not inside and folder != Path("/"):
            found.append(folder)
    return found


def is_virtual(prefix: Path) -> bool:
    return (prefix / "pyvenv.cfg").is_file()


def readable() -> list[str]:
    """What a job may read and run, by path; also the list for Landlock where there are no namespaces."""
    virtual = [str(prefix / "pyvenv.cfg") for prefix in prefixes() if is_virtual(prefix)]
    return [*SYSTEM, *map(str, interpreter_folders()), *virtual, *(f"/etc/{name}" for name in ETC)]


def build(root: str) -> bool:
    """Make the view at `root` and move into it; whether any file in it is one that others can lock or watch too.

    In a mount namespace of our own; raises `OSError`.
    """
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.mount("move37", root, "tmpfs", syscalls.MS_NOSUID, "size=32m,mode=755")
    os.mkdir(root + NOTHING)
    shared = []
    for path in SYSTEM:
        if os.path.islink(path):
            os.symlink(os.readlink(path), root + path)
        elif os.path.isdir(path):
            shared.append(show_folder(path, root))
    for folder in interpreter_folders():
        shared.append(show_folder(str(folder), root))
    for prefix in prefixes():
        if _is_link(prefix):
            _show_link(prefix, root)
        elif is_virtual(prefix) and not any(prefix.is_relative_to(path) for path in SYSTEM):
            os.makedirs(f"{root}{prefix}", exist_ok=True)
            shutil.copy(prefix / "pyvenv.cfg", f"{root}{prefix}/pyvenv.cfg")
            if (prefix / "lib64").is_symlink():
                os.symlink(os.readlink(prefix / "lib64"), f"{root}{prefix}/lib64")
    _make_etc(root)
    shared.append(_make_devices(root))
    for name in ("proc", "tmp", "job", "old", "var", "run"):
        os.makedirs(f"{root}/{name}", exist_ok=True)
    if not os.path.lexists(f"{root}/var/tmp"):
        os.symlink("/tmp", f"{root}/var/tmp")
    os.chdir(root)
    syscalls.pivot_root(".", "old")
    os.chdir("/")
    return any(shared)


def cover(place: str, own: str) -> None:
    """In the namespaces of a job: /tmp or /dev/shm is its own; an interpreter that lives below it stays where it is."""
    below = [(str(path), os.open(path, os.O_PATH)) for path in interpreter_folders() if path.is_relative_to(place)]
    mine = [prefix for prefix in prefixes() if prefix.is_relative_to(place)]
    links = {prefix: os.path.realpath(prefix) for prefix in mine if _is_link(prefix)}
    virtual = [prefix / "pyvenv.cfg" for prefix in mine if is_virtual(prefix) and prefix not in links]
    settings = {file: file.read_bytes() for file in virtual}
    syscalls.mount(own, place, None, syscalls.MS_BIND)
    for path, descriptor in below:
        os.makedirs(path, exist_ok=True)
        syscalls.mount(f"/proc/self/fd/{descriptor}", path, None, syscalls.MS_BIND)
        os.close(descriptor)
    for file, content in settings.items():
        file.write_bytes(content)
    for link, target in links.items():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)


def _is_link(prefix: Path) -> bool:
    """Whether a prefix is another one under the name of a link, which the interpreter calls itself by."""
    return prefix != Path(os.path.realpath(prefix))


def _show_link(prefix: Path, root: str) -> None:
    if not any(prefix.is_relative_to(path) for path in SYSTEM):
        os.makedirs(f"{root}{prefix.parent}", exist_ok=True)
        os.symlink(os.path.realpath(prefix), f"{root}{prefix}")


def leave_old_root() -> None:
    """The last step, once /proc stands on its own: nothing of the host's tree stays reachable."""
    syscalls.umount("/old", syscalls.MNT_DETACH)
    os.rmdir("/old")
    syscalls.mount("none", "/", None, syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY | syscalls.MS_NOSUID)


def show_folder(path: str, root: str) -> bool:
    """Show a folder of the host, read-only; whether its files are the very ones that others see.

    An overlay has files of its own over the same content: no process outside sees a lock or an access through it.
    """
    target = root + path
    os.makedirs(target, mode=0o755, exist_ok=True)
    if not _has_mounts_below(path):
        escaped = path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")
        flags = syscalls.MS_RDONLY | syscalls.MS_NOSUID | syscalls.MS_NODEV
        with contextlib.suppress(OSError):
            syscalls.mount("overlay", target, "overlay", flags, f"lowerdir={escaped}:{root}{NOTHING}")
            return False
    syscalls.mount(path, target, None, syscalls.MS_BIND | syscalls.MS_REC)
    syscalls.make_read_only(target)
    return True


def _has_mounts_below(path: str) -> bool:
    """Which an overlay would not show."""
    places = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return any(place.startswith(path.rstrip("/") + "/") for place in places)


def _make_etc(root: str) -> None:
    etc = Path(root, "etc")
    etc.mkdir()
    (etc / "passwd").write_text(PASSWD)
    (etc / "group").write_text(GROUP)
    (etc / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")
    for name in ETC:
        # Copies: the files themselves are the host's.
        source, target = Path("/etc", name), etc / name
        with contextlib.suppress(OSError, shutil.Error):
            if source.is_dir():
                shutil.copytree(source, target, symlinks=True)
            elif source.is_file():
                shutil.copy(source, target)


def _make_devices(root: str) -> bool:
    """Whether one of them is the host's own file."""
    os.makedirs(f"{root}/dev/shm", exist_ok=True)  # an interpreter may live below it
    os.mkdir(f"{root}{SPARE_DEVICES}", 0o711)
    nodes = []
    for name, number in DEVICES.items():
        try:
            os.mknod(f"{root}/dev/{name}", stat.S_IFCHR | 0o666, os.makedev(1, number))
            os.chmod(f"{root}/dev/{name}", 0o666)
            # A tmpfs of an ordinary user's holds device files that cannot be opened.
            os.close(os.open(f"{root}/dev/{name}", os.O_RDONLY))
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{root}/dev/{name}")
            nodes.append((f"/dev/{name}", f"{root}/dev/{name}"))
    shared = bool(nodes)
    nodes += [(str(path), f"{root}{SPARE_DEVICES}/{path.name}") for path in gpu_devices()]
    for source, target in nodes:
        Path(target).touch()
        syscalls.mount(source, target, None, syscalls.MS_BIND)
    for path in gpu_devices():
        Path(f"{root}/dev/{path.name}").touch()
    for name, aim in (("fd", "self/fd"), ("stdin", "self/fd/0"), ("stdout", "self/fd/1"), ("stderr", "self/fd/2")):
        os.symlink(f"/proc/{aim}", f"{root}/dev/{name}")
    return shared


def gpu_devices() -> list[Path]:
    """Character devices of NVIDIA's driver."""
    return sorted(path for path in Path("/dev").glob("nvidia*") if path.is_char_device())
