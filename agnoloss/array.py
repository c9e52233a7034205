"""What an array is to type checkers: it belongs to whichever library the caller uses."""

from typing import Any

Array = Any
