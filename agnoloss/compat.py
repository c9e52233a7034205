"""The only importer of array_api_compat: a copy vendored beside this file is taken first.

To carry array-api-compat inside a copied agnoloss folder, put its folder ``array_api_compat`` in
``_vendored/`` (with an empty ``__init__.py``). Nothing else in the package names it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

try:
    array_api_compat = import_module(f"{__package__}._vendored.array_api_compat")
except ModuleNotFoundError:
    array_api_compat = import_module("array_api_compat")

array_namespace = array_api_compat.array_namespace
device = array_api_compat.device


def namespace(library: str) -> Any:
    """Array API namespace of one library, for example ``namespace("torch")``."""
    return import_module(f"{array_api_compat.__name__}.{library}")
