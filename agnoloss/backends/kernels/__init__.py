"""The rules as fused kernels: each faster or leaner than the standard's form, none needed for a right number.

``AGNOLOSS_KERNELS=0`` in the environment switches them off.
"""

import os

ON = os.environ.get("AGNOLOSS_KERNELS", "1") != "0"
