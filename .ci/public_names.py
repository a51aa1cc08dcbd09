"""Import every public name of move37, and see that the foreign packages named on the command line are untouched."""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module

import move37

count = 0
for module in pkgutil.walk_packages(move37.__path__, "move37."):
    if module.ispkg and not module.name.startswith(("move37.benchmarks", "move37.kernels.ops")):
        package = import_module(module.name)
        for name in getattr(package, "__all__", ()):
            getattr(package, name)
            count += 1
for name in sys.argv[1:]:
    assert import_module(name).FOREIGN, name
print(f"{count} public names")
assert count > 30, "public names are missing"
