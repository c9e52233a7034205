"""Which broken formulas the tests let pass: for this project's own formulas, in a checkout."""
