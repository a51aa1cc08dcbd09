"""What a foreign program imports, at its top and inside functions: kept, served, or taken from a file beside it.

Read `Imports.of`. What the ecosystem has is served (`served.py`); what a file of the same
folder defines is written before it, with all that it uses; anything else makes the program one that cannot be tested.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile

from move37.lab.audit.served import names_served, needed_for
from move37.lab.training.contract import is_kernels

KEPT = ("torch", "einops", "math", "kernels", "__future__", "typing")
THROUGH_TORCH = {"functools": "torch.functools", "inspect": "torch.inspect"}
ECOSYSTEM = ("fla", "transformers", "causal_conv1d", "mamba_ssm", "flash_attn")  # whose names `served.py` knows
# Modules of Python itself that are served as a whole, and what may be taken out of them.
PYTHON = {"dataclasses": ("dataclass", "field"), "logging": ("getLogger",), "warnings": ("warn",)}
ABSENT = (*ECOSYSTEM, *PYTHON, *THROUGH_TORCH)  # no file of a folder stands for these


class Unserved(Exception):
    """An import that nothing stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """Files that may import each other."""

    name: str = ""  # which they may use as the package's
    files: Mapping[str, str] = field(default_factory=dict)  # path below it without `.py` -> source

    def find(self, module: str, level: int, place: str) -> str | None:
        """The file behind `module`, as it is imported by the file at `place`; None where there is none.

        `level`: dots before it. Without dots the importing file's folder is looked at, then those above it.
        """
        here, parts = place.split("/")[:-1], module.split(".") if module else []
        if level:
            bases = [here[: len(here) - level + 1]] if level <= len(here) + 1 else []
        else:
            bases = [here[:n] for n in range(len(here), -1, -1)]
        tried = [[*base, *parts] for base in bases]
        if not level and parts[0] == self.name:
            tried.append(parts[1:])
        paths = (f for found in tried for f in ("/".join(found), "/".join([*found, "__init__"])))
        return next((path for path in paths if path in self.files), None)


class Imports:
    """The statements of one program and of what it takes from its folder, and the names that are served to it."""

    def __init__(self, folder: Folder, parse: Callable[[str], ast.Module]) -> None:
        self.statements: list[ast.stmt] = []  # in an order in which they can run
        self.served: list[str] = []
        self._folder, self._parse = folder, parse
        self._modules: dict[str, list[ast.stmt]] = {}
        self._taken: set[int] = set()  # statements, by identity: their modules are kept
        self._bound: dict[str, tuple[str, str]] = {}  # name -> file that bound it, and how

    def of(self, module: ast.Module, place: str) -> list[ast.stmt]:
        """The program's own statements; all of them stand in `statements` too, what they use before them."""
        first = len(self.statements)
        own = [s for node in module.body for s in self._resolved(node, place, module.body)]
        taken = {id(s) for s in self.statements[first:]}
        self.statements += [s for s in own if id(s) not in taken]
        return own

    def _resolved(self, node: ast.stmt, place: str, body: Iterable[ast.stmt]) -> list[ast.stmt]:
        found = _Resolver(self, place, body).visit(node)
        kept = [s for s in (found if isinstance(found, list) else [found]) if not isinstance(s, ast.Pass)]
        for statement in kept:
            for name in _binds(statement):
                self._bind(name, place, statement)
        return kept

    def _bind(self, name: str, place: str, statement: ast.stmt) -> None:
        text = ast.unparse(statement)
        owner, known = self._bound.setdefault(name, (place, text))
        if owner != place and known != text:
            raise Unserved(f"{owner or 'it'} and {place} both define {name}, and one file is made of them")

    def check_helpers(self) -> None:
        """Raises `Unserved` where the program gives another value to what definitions of ours use under that name."""
        helpers = {name for name in needed_for(self.served) if name.startswith("_")}
        if taken := sorted(helpers & {name for statement in self.statements for name in _binds(statement)}):
            raise Unserved(f"it defines {taken[0]}, as do the definitions that stand for its imports")

    def take(self, path: str, names: Iterable[str]) -> None:
        """Put what the file at `path` defines under `names`, with all that it uses, before what comes."""
        body, wanted = self._body(path), set(names)
        while True:
            more = [s for s in body if id(s) not in self._taken and wanted & set(_binds(s))]
            if not more:
                return
            for statement in body:
                if statement in more:
                    self._taken.add(id(statement))
                    wanted |= _loads(statement)
            # What these use comes first, then they themselves, in the order of their file.
            self.take(path, wanted)
            for statement in more:
                self.statements += self._resolved(statement, path, body)

    def names_of(self, path: str) -> list[str]:
        """What a file binds at its top."""
        return [name for statement in self._body(path) for name in _binds(statement)]

    def _body(self, path: str) -> list[ast.stmt]:
        """A file's statements; each import brings one name, so that what nobody asks for need not be served."""
        if path not in self._modules:
            self._modules[path] = []  # for files that import everything of each other
            body = self._parse(self._folder.files[path]).body
            self._modules[path] = [s for node in body for s in self._one_by_one(node, path)]
        return self._modules[path]

    def _one_by_one(self, node: ast.stmt, path: str) -> list[ast.stmt]:
        if isinstance(node, ast.Import):
            return [ast.Import(names=[alias]) for alias in node.names]
        if not isinstance(node, ast.ImportFrom):
            return [node]
        where = self._folder.find(node.module or "", node.level, path) if node.names[0].name == "*" else None
        names = node.names if where is None else self._public(where)
        return [ast.ImportFrom(module=node.module, names=[alias], level=node.level) for alias in names]

    def _public(self, path: str) -> list[ast.alias]:
        return [ast.alias(name=name) for name in self.names_of(path) if not name.startswith("_")] or [ast.alias("*")]

    def one(self, alias: ast.alias, place: str, body: Iterable[ast.stmt]) -> list[ast.stmt]:
        """`import alias`."""
        root, bound = alias.name.split(".")[0], alias.asname or alias.name.split(".")[0]
        whole = ast.Import(names=[alias])
        if root in KEPT or is_kernels(whole, alias.name):
            return [whole]
        path = None if root in ABSENT else self._folder.find(alias.name, 0, place)
        if path is not None and (alias.asname or "." not in alias.name):
            return self._namespace(bound, path, body)
        if alias.name in PYTHON or root in THROUGH_TORCH:
            return self._named(bound, THROUGH_TORCH.get(root, root))
        raise Unserved(f"it imports {alias.name}, which is not served")

    def some(self, node: ast.ImportFrom, place: str, body: Iterable[ast.stmt]) -> list[ast.stmt]:
        """`from module import names`."""
        module = "." * node.level + (node.module or "")
        root = module.split(".")[0]
        if root == "__future__":
            return []
        if node.level == 0 and (root in KEPT or is_kernels(node, module)):
            return [node]
        beside = root not in ABSENT or node.level > 0
        served = names_served() if root in ECOSYSTEM else frozenset[str]()
        path = self._folder.find(node.module or "", node.level, place) if beside else None
        found: list[ast.stmt] = []
        for alias in node.names:
            bound = alias.asname or alias.name
            inner = self._folder.find(".".join(filter(None, (node.module, alias.name))), node.level, place)
            if path is not None and alias.name == "*":
                self.take(path, {a.name for a in self._public(path)} & _loads(*body))
            elif path is not None and alias.name in self.names_of(path):
                self.take(path, [alias.name])
                found += _alias(bound, alias.name)
            elif beside and inner is not None:
                found += self._namespace(bound, inner, body)
            elif root in THROUGH_TORCH:
                found += self._named(bound, f"{THROUGH_TORCH[root]}.{alias.name}")
            elif alias.name in PYTHON.get(root, ()):
                self.served.append(root)
                found += _alias(bound, f"{root}.{alias.name}")
            elif alias.name in served:
                found += self._named(bound, alias.name)
            else:
                why = "which no file beside it defines" if node.level else "which is not served"
                raise Unserved(f"it imports {alias.name} from {module}, {why}")
        return found

    def _named(self, bound: str, value: str) -> list[ast.stmt]:
        if "." not in value:
            self.served.append(value)
        return _alias(bound, value)

    def _namespace(self, bound: str, path: str, body: Iterable[ast.stmt]) -> list[ast.stmt]:
        """A file as a whole: a class that holds what is asked of it."""
        nodes = (n for statement in body for n in ast.walk(statement) if isinstance(n, ast.Attribute))
        asked = {n.attr for n in nodes if isinstance(n.value, ast.Name) and n.value.id == bound}
        known = sorted(asked & set(self.names_of(path)))
        self.take(path, known)
        lines = "".join(f"    {name} = staticmethod({name})\n" for name in known)
        return list(ast.parse(f"class {bound}:\n{lines or '    pass'}").body)


class _Resolver(ast.NodeTransformer):
    """Replaces imports, wherever they stand."""

    def __init__(self, imports: Imports, place: str, body: Iterable[ast.stmt]) -> None:
        self._imports, self._place, self._body = imports, place, list(body)

    def visit_Import(self, node: ast.Import) -> list[ast.stmt]:
        found = [s for alias in node.names for s in self._imports.one(alias, self._place, self._body)]
        return found or [ast.Pass()]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> list[ast.stmt]:
        return self._imports.some(node, self._place, self._body) or [ast.Pass()]

    def visit_Try(self, node: ast.Try) -> ast.AST | list[ast.stmt]:
        """Of an import with a fallback, the branch that can be served: without its module Python takes the fallback."""
        lead = list(takewhile(lambda n: isinstance(n, ast.Import | ast.ImportFrom), node.body))
        if not lead or not node.handlers:
            return self.generic_visit(node)
        try:
            found = self._all(lead)
        except Unserved:
            instead = [*(s for handler in node.handlers for s in handler.body), *node.finalbody]
            return self._all(instead) or [ast.Pass()]
        node.body = node.body[len(lead) :]
        if not node.body:
            return [*found, *self._all([*node.orelse, *node.finalbody])] or [ast.Pass()]
        self.generic_visit(node)
        return [*found, node]

    def _all(self, body: list[ast.stmt]) -> list[ast.stmt]:
        found = [self.visit(node) for node in body]
        return [s for f in found for s in (f if isinstance(f, list) else [f])]


def _alias(bound: str, value: str) -> list[ast.stmt]:
    return [] if bound == value else list(ast.parse(f"{bound} = {value}").body)


def _binds(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement at the top of a file gives a value."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.split(".")[0] for alias in statement.names)
    else:
        for node in ast.iter_child_nodes(statement):
            if isinstance(node, ast.stmt):
                yield from _binds(node)
            elif isinstance(node, ast.ExceptHandler):
                yield from (name for inner in node.body for name in _binds(inner))
            else:
                yield from (n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))


def _loads(*statements: ast.stmt) -> set[str]:
    return {n.id for s in statements for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
