"""What the words that losses share may be, for type checkers and editors."""

from collections.abc import Callable, Sequence
from typing import Literal

from .array import Array

Mode = Literal["multiclass", "multilabel", "binary"]
Reduction = Literal["mean", "sum", "none", "per_image"]
Average = Literal["macro", "micro"]
Number = float | Array
PerClass = Number | Sequence[Number]
ClassWeights = Sequence[Number] | Array | Literal["balanced"] | None
IgnoreIndex = int | Sequence[int] | None
ClassChoice = Literal["all", "present"] | Sequence[int]
Smooth = Number | tuple[Number, Number]
AllReduce = Callable[[Array], Array] | None
