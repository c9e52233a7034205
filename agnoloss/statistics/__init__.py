"""Small arrays from a batch: probabilities, sums over pixels for each class, and means of them."""
