"""The mathematics of the losses, one file for each family.

The docstring of a loss describes what is its own. These words mean the same in every loss that takes
them; ``help(dice_loss)`` has them with shapes, dtypes and defaults.

predictions
    Scores or probabilities ``(N, C, *S)``, any number of spatial axes; in binary mode ``(N, *S)``.
targets
    Labels ``(N, *S)`` or ``(N, 1, *S)``; or one-hot or soft targets of the shape of `predictions`.
mode
    "multiclass": softmax over the classes; "multilabel": sigmoid of each channel; "binary": one channel.
from_logits
    True: `predictions` are raw scores. False: they are probabilities.
axis
    Class axis of `predictions`: 1, or -1 for channels-last.
ignore_index
    Labels, one or several, that take no part in anything.
pixel_weights
    Weight of each pixel ``(N, *S)`` or image ``(N,)``; 0 leaves it out as if ignored.
class_weights
    Weight of each class, also in the divisor of the mean; "balanced": from the counts of the batch. Losses
    of pixels take two in binary mode, the weights of 0 and of 1; other losses refuse them there.
classes
    Classes to average over: "all", those "present" in the targets, or indices.
per_image
    False: one count of the whole batch. True: one for each image, then the mean over images.
average
    "macro": a score for each class, then the mean; "micro": the counts of the classes added up first.
smooth
    Added to numerator and denominator; a pair sets them apart.
reduction
    "mean": the weighted mean; "sum": the weighted sum; "none": the weighted loss of every pixel, or of
    every class where a loss is made of counts; "per_image": the loss of each image alone. Sums of two
    losses have no "none".
all_reduce
    A function applied to the sums over pixels before the formula, to add them up over devices.

Every loss is 0, with gradient 0, if nothing is left to average. An argument of a wrong type raises
TypeError, one of a wrong shape, length or choice ValueError.
"""
