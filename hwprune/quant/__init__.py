"""From the float network to integers, with Brevitas."""

import logging
import warnings

# Torch and Brevitas say these on import or once in use; nobody can act on them here.
logging.getLogger("torch.utils.cpp_extension").addFilter(lambda record: "No CUDA runtime" not in record.getMessage())
for _message, _module in (
    ("Named tensors and all their associated APIs", r"torch\._tensor"),
    ("fast_hadamard_transform package not found", r"brevitas\."),
):
    warnings.filterwarnings("ignore", _message, UserWarning, _module)
