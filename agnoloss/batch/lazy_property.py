"""A property computed at most once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class lazy_property:
    """Property whose value is kept in the instance.

    ``functools.cached_property`` takes a lock in Python 3.10 and 3.11, which dynamo cannot trace.
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function
        self.name = function.__name__
        self.__doc__ = function.__doc__

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        value = self.function(instance)
        setattr(instance, self.name, value)
        return value
