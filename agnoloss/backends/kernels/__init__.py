"""The rules as fused kernels: each faster or leaner than the standard's form, none needed for a right number.

``AGNOLOSS_KERNELS=0`` in the environment switches them off. ``AGNOLOSS_KERNELS=triton`` has Triton's for
tensors in host memory too, by its interpreter (``TRITON_INTERPRET=1``): slow, for tests.
"""

import os

CHOICE = os.environ.get("AGNOLOSS_KERNELS", "1")
ON = CHOICE != "0"
