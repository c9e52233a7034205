"""agnoloss with one sign of a formula changed, imported beside the real one."""

import ast
import sys
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path

from conformance.mutation.mutants import mutants

PACKAGE = Path(__file__).resolve().parent.parent / "agnoloss"
FILES = ("losses/*.py", "statistics/*.py", "backends/sorting.py", "maps.py")


def is_a_sign(mutant):
    """Plus for minus, the reverse, or a minus left out; that of a number, as in axis=-1, is no formula's."""
    old, new = (ast.parse(text, mode="eval").body for text in (mutant.old, mutant.new))
    if isinstance(old, ast.BinOp) and isinstance(new, ast.BinOp):
        return {type(old.op), type(new.op)} == {ast.Add, ast.Sub}
    minus = isinstance(old, ast.UnaryOp) and isinstance(old.op, ast.USub)
    return minus and not isinstance(old.operand, ast.Constant)


def signs():
    """Every sign that can be changed."""
    files = sorted(file for pattern in FILES for file in PACKAGE.glob(pattern))
    found = [
        mutant
        for file in files
        for mutant in mutants(file.relative_to(PACKAGE).as_posix(), file.read_text(encoding="utf-8"))
    ]
    return [mutant for mutant in found if is_a_sign(mutant)]


class Source(SourceFileLoader):
    """A module with another text; no bytecode is read or written."""

    def __init__(self, name, path, text):
        super().__init__(name, path)
        self.text = text

    def get_data(self, path):
        if path != self.path:
            raise OSError(path)
        return self.text.encode()

    def set_data(self, *_args, **_options):
        pass


class Broken(MetaPathFinder):
    """A copy of the package in memory, with one expression of one file changed."""

    def __init__(self, mutant):
        self.path = PACKAGE / mutant.file
        self.name = "agnoloss." + mutant.file.removesuffix(".py").replace("/", ".")
        self.text = mutant.source(self.path.read_text(encoding="utf-8"))
        self.modules = {}

    def find_spec(self, name, path, target=None):
        if name != self.name:
            return None
        return spec_from_file_location(name, self.path, loader=Source(name, str(self.path), self.text))

    @contextmanager
    def imported(self):
        """The copy, in the real package's place: some of its modules are imported as they are needed."""
        real = _taken_out()
        sys.modules.update(self.modules)
        sys.meta_path.insert(0, self)
        try:
            yield import_module("agnoloss")
        finally:
            sys.meta_path.remove(self)
            self.modules = _taken_out()
            sys.modules.update(real)


def _taken_out():
    names = [name for name in sys.modules if name == "agnoloss" or name.startswith("agnoloss.")]
    return {name: sys.modules.pop(name) for name in names}
