"""What programs import from files beside them, inside functions and of configurations, or why they cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from move37.lab.audit.adapt import Adapted, adapted
from move37.lab.audit.programs import read_programs
from move37.lab.training.contract import check_source, load_mixer

LAYER = """
import torch
from torch import nn
IMPORT
class MyLayer(nn.Module):
    def __init__(self, hidden_size=256, num_heads=4, layer_idx=None):
        super().__init__()
        self.norm = Norm(hidden_size)
    def forward(self, hidden_states, past_key_values=None, **kwargs):
        return self.norm(CALL(hidden_states)), None, past_key_values
"""
NORM = """
import numpy
import torch
from .deep.shifts import SCALE
from . import cells
class Base(torch.nn.Module):
    def forward(self, x):
        return SCALE * self.p(x)
class Norm(Base):
    def __init__(self, size):
        super().__init__()
        self.p = torch.nn.Linear(size, size)
class Unused(cells.Nothing):
    pass
def l2norm(x):
    return x * 0
"""
SHIFTS = """
import functools
from typing import Any
SCALE, OTHER = 2.0, 3.0
@functools.lru_cache
def _width(n: int) -> Any:
    return (0, 0, n, 0)
def shift(x):
    return torch_pad(x, _width(1))[:, :-1]
from torch.nn.functional import pad as torch_pad
"""
INIT = "from .deep.shifts import shift as moved\nfrom .norms import *\n__all__ = ['moved']\n"
WAYS = {
    "relative": ("from .norms import Norm\nfrom .deep.shifts import shift", "shift"),
    "relative, another name": ("from .norms import Norm\nfrom .deep.shifts import shift as s", "s"),
    "by the package's name": ("from pkg.norms import Norm\nfrom pkg.deep.shifts import shift", "shift"),
    "as files beside it": ("from norms import Norm\nfrom deep.shifts import shift", "shift"),
    "everything": ("from .norms import *\nfrom .deep.shifts import *", "shift"),
    "a whole file": ("from .norms import Norm\nfrom .deep import shifts", "shifts.shift"),
    "a whole file, another name": ("from .norms import Norm\nimport pkg.deep.shifts as s", "s.shift"),
    "what a package passes on": ("from . import Norm, moved", "moved"),
    "with a fallback": ("from .norms import Norm\ntry:\n    from nowhere import shift\nexcept ImportError:\n"
                        "    from .deep.shifts import shift", "shift"),
}  # fmt: skip


def written(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def of(path: Path, name: str) -> Adapted:
    (program,) = (p for p in read_programs(path) if p.name == name)
    assert program.source is not None
    return adapted(program.source, place=program.place, folder=program.folder)


def output(found: Adapted, x: torch.Tensor) -> torch.Tensor:
    assert found.reason == ""
    check_source(found.source)
    torch.manual_seed(0)
    y: torch.Tensor = load_mixer(found.source)(x.shape[-1], 4)(x)
    return y


@pytest.mark.parametrize("way", WAYS)
def test_a_program_may_be_several_files(tmp_path: Path, way: str) -> None:
    line, call = WAYS[way]
    pkg = tmp_path / "pkg"
    layer = LAYER.replace("IMPORT", line).replace("CALL", call)
    written(pkg, {"layer.py": layer, "norms.py": NORM, "deep/shifts.py": SHIFTS, "__init__.py": INIT})
    x = torch.randn(2, 7, 64)
    torch.manual_seed(0)
    wanted = 2 * torch.nn.Linear(64, 64)(torch.nn.functional.pad(x, (0, 0, 1, 0))[:, :-1])
    places = [(pkg, "layer"), (tmp_path, "pkg/layer"), (pkg / "layer.py", "layer")]
    for root, name in places[: 3 if "pkg" not in line else 2]:
        found = of(root, name)
        assert torch.allclose(output(found, x), wanted, atol=1e-5), "what its own files compute"
        assert "numpy" not in found.source and "Unused" not in found.source, "what it does not use stays away"


def test_files_that_import_each_other_end(tmp_path: Path) -> None:
    layer = LAYER.replace("IMPORT", "from norms import Norm\nfrom one import f").replace("CALL", "f")
    files = {"one.py": "from two import g\ndef f(x):\n    return g(x, 2)\n",
             "two.py": "from one import f\ndef g(x, n):\n    return f(x) if n > 9 else x * n\n",
             "norms.py": "from torch.nn import Identity\nclass Norm(Identity):\n    pass\n"}  # fmt: skip
    written(tmp_path, {"layer.py": layer, **files})
    x = torch.randn(1, 3, 8)
    assert torch.equal(output(of(tmp_path, "layer"), x), 2 * x)


def test_a_file_beside_it_stands_before_ours_of_the_same_name(tmp_path: Path) -> None:
    layer = LAYER.replace("IMPORT", "from norms import Norm, l2norm").replace("CALL", "l2norm")
    plain = NORM.replace("from .deep.shifts import SCALE\nfrom . import cells\n", "SCALE = 1\n").replace(
        "class Unused(cells.Nothing):\n    pass\n", ""
    )
    written(tmp_path, {"layer.py": layer, "norms.py": plain})
    x = torch.randn(1, 3, 64)
    assert torch.equal(output(of(tmp_path, "layer"), x), output(of(tmp_path, "layer"), 0 * x)), "its l2norm, not ours"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.py": "from b import no\n" + LAYER, "b.py": "yes = 1\n"}, "imports no from b"),
        ({"a.py": "from ..b import no\n" + LAYER}, "imports no from ..b"),
        ({"a.py": "from b import f\nfrom c import g\n" + LAYER, "b.py": "def h():\n    return 1\ndef f():\n    h()",
          "c.py": "def h():\n    return 2\ndef g():\n    h()"}, "both define h"),
        ({"a.py": "from b import f\n" + LAYER, "b.py": "def f(:\n"}, "not Python"),
        ({"a.py": "from b import f\n" + LAYER, "b.py": "import pandas\ndef f():\n    pandas"}, "imports pandas"),
        ({"a.py": "import b.c\n" + LAYER, "b/c.py": "x = 1\n"}, "imports b.c"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_made_one_are_told(tmp_path: Path, files: dict[str, str], said: str) -> None:
    written(tmp_path, {name: text.replace("IMPORT", "") for name, text in files.items()})
    assert said in of(tmp_path, "a").reason


def test_imports_inside_functions_are_served_as_those_above() -> None:
    inner = "        from fla.modules.l2norm import l2norm as unit\n        from einops import rearrange\n"
    source = (
        f"import torch\nclass Attention(torch.nn.Module):\n    def forward(self, x):\n{inner}"
        "        try:\n            from fla.no import thing\n        except ImportError:\n            thing = unit\n"
        "        return rearrange(thing(x), 'b t d -> b t d')\n"
    )
    y = output(adapted(source), torch.randn(2, 5, 16))
    assert torch.allclose(y.norm(dim=-1), torch.ones(2, 5), atol=1e-3)


BY_CONFIG = """
import dataclasses
from dataclasses import dataclass, field
from transformers import PretrainedConfig
import torch
CONFIG
class Attention(torch.nn.Module):
    def __init__(self, config: MyConfig, layer_idx: int = 0):
        super().__init__()
        self.a = torch.nn.Linear(config.width, config.inner)
        self.b = torch.nn.Linear(config.inner, config.width)
        self.drop, self.n_head = torch.nn.Dropout(config.dropout), config.n_head
    def forward(self, hidden_states, *args, **kwargs):
        return (self.b(self.drop(self.a(hidden_states))),)
"""
CONFIGS = {
    "dataclass": "@dataclass\nclass MyConfig:\n    width: int\n    n_head: int = 12\n    dropout: float = 0.5\n"
    "    sizes: list = field(default_factory=lambda: [6])\n    def __post_init__(self):\n"
    "        self.inner = self.sizes[0]",
    "dataclass, by its module": "@dataclasses.dataclass(frozen=True)\nclass Base:\n    width: int = 512\n"
    "    inner: int = 6\n"
    "@dataclasses.dataclass(frozen=True)\nclass MyConfig(Base):\n    n_head: int = 12\n    dropout: float = 0.5",
    "plain": "class MyConfig:\n    def __init__(self, width=512, inner=6, n_head=12, dropout=0.5):\n"
    "        self.width, self.inner, self.n_head, self.dropout = width, inner, n_head, dropout",
    "plain, a property": "class MyConfig:\n    inner, n_head, dropout = 6, 12, 0.5\n    hidden_size = 512\n"
    "    @property\n"
    "    def width(self):\n        return self.hidden_size",
    "of transformers": "class MyConfig(PretrainedConfig):\n    def __init__(self, width=512, n_head=12, **kw):\n"
    "        self.width, self.inner, self.n_head = width, 6, n_head\n        super().__init__(dropout=0.5, **kw)\n"
    "        self.dropout = 0.5",
}  # fmt: skip


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("annotated", (True, False))
def test_a_layer_is_built_from_its_own_configuration_at_our_sizes(kind: str, annotated: bool) -> None:
    source = BY_CONFIG.replace("CONFIG", CONFIGS[kind])
    found = adapted(source if annotated else source.replace("config: MyConfig", "config"))
    assert output(found, torch.randn(2, 5, 64)).shape == (2, 5, 64)
    layer: Any = load_mixer(found.source)(64, 4).layer
    assert (layer.a.weight.shape, layer.n_head, layer.drop.p) == ((6, 64), 4, 0.0)


@pytest.mark.parametrize("name", ("head_dim", "head_size", "dim_head"))
def test_a_head_has_its_share_of_the_width_and_not_that_of_a_large_model(name: str) -> None:
    source = (
        "import torch\nclass Attention(torch.nn.Module):\n"
        f"    def __init__(self, hidden_size=2048, num_heads=6, {name}=256):\n"
        f"        super().__init__()\n        self.p = torch.nn.Linear(hidden_size, num_heads * {name})\n"
        "    def forward(self, x):\n        return self.p(x)\n"
    )
    assert output(adapted(source), torch.randn(1, 3, 64)).shape == (1, 3, 64)


def test_two_names_of_one_line_come_when_each_is_asked_for(tmp_path: Path) -> None:
    layer = LAYER.replace("IMPORT", "from passing import Norm\nfrom other import f").replace("CALL", "f")
    files = {"passing.py": "from real import Norm, double\nimport pandas, torch\n",
             "other.py": "from passing import double\ndef f(x):\n    return double(x)\n",
             "real.py": "from torch.nn import Identity\nclass Norm(Identity):\n    pass\n"
                        "def double(x):\n    return 2 * x\n"}  # fmt: skip
    written(tmp_path, {"layer.py": layer, **files})
    x = torch.randn(1, 3, 8)
    assert torch.equal(output(of(tmp_path, "layer"), x), 2 * x)


@pytest.mark.parametrize("served", (True, False))
@pytest.mark.parametrize("inside", (True, False))
@pytest.mark.parametrize("more", ("", "    flag = 1.0\n"))
def test_without_a_module_the_fallback_runs_as_in_python(served: bool, inside: bool, more: str) -> None:
    name = "l2norm" if served else "nothing_like_it"
    lines = f"try:\n    from fla.modules.l2norm import {name} as f\n{more}except ImportError:\n    f = None\n"
    body = "return x * 3 if f is None else x * 5"
    indented = "".join(f"        {line}\n" for line in lines.splitlines())
    forward = f"    def forward(self, x):\n{indented if inside else ''}        {body}\n"
    source = f"import torch\n{'' if inside else lines}class Attention(torch.nn.Module):\n{forward}"
    x = torch.randn(1, 3, 8)
    assert torch.equal(output(adapted(source), x), x * (5 if served else 3))


STRANGERS = ("from somewhere import NAME", "from somewhere.fla import NAME", "from utils.norms import NAME",
             "from numpy import NAME", "from .fla import NAME", "from ..modules import NAME", "import NAME",
             "from dataclasses import NAME", "from logging import NAME", "from warnings import NAME")  # fmt: skip


@pytest.mark.parametrize("name", ("RMSNorm", "l2norm", "chunk_delta_rule", "Cache", "causal_conv1d_fn"))
@pytest.mark.parametrize("line", STRANGERS)
def test_a_name_is_the_ecosystems_only_where_it_comes_from_there(line: str, name: str) -> None:
    """A stranger's module may mean another function by it."""
    layer = LAYER.replace("CALL", "").replace("self.norm = Norm(hidden_size)", "self.norm = torch.nn.Identity()")
    reason = adapted(layer.replace("IMPORT", line.replace("NAME", name))).reason
    module = line.split()[1].replace("NAME", name)
    assert "it imports" in reason and module in reason
    for root in ("fla", "fla.modules", "fla.ops.anything", "mamba_ssm.ops", "flash_attn", "transformers"):
        assert adapted(layer.replace("IMPORT", f"from {root} import {name}")).reason == ""


@pytest.mark.parametrize("line", ("import logging", "from logging import getLogger", "import warnings as w",
                                  "from warnings import warn", "from functools import partial", "import inspect",
                                  "from dataclasses import dataclass, field", "import dataclasses as d"))  # fmt: skip
def test_of_python_itself_a_few_modules_are_served(line: str) -> None:
    layer = LAYER.replace("CALL", "").replace("self.norm = Norm(hidden_size)", "self.norm = torch.nn.Identity()")
    assert output(adapted(layer.replace("IMPORT", line)), torch.randn(1, 3, 8)).shape == (1, 3, 8)


def test_a_program_that_names_its_own_as_what_stands_for_its_imports_is_told() -> None:
    """Our definitions would compute with its function."""
    layer = LAYER.replace("CALL", "").replace("Norm(", "RMSNorm(")
    source = layer.replace("IMPORT", "from fla.modules import RMSNorm\ndef _normed(x, eps):\n    return 0 * x")
    assert "it defines _normed" in adapted(source).reason
    assert adapted(source.replace("_normed", "rms_norm")).reason == ""
