"""The mathematics of the losses, one file for each family."""
