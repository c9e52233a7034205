"""Keras chooses its library as it is imported, and looks for its settings then."""

import os
import tempfile

os.environ["KERAS_BACKEND"] = "jax"
os.environ["KERAS_HOME"] = tempfile.mkdtemp(prefix="agnoloss-keras-")
