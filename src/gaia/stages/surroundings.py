"""What a stage hears of the shell that it was started from: nothing that could change a byte of what it makes."""

from __future__ import annotations

import os
import sys

# The variables (or those that begin so) by which frameworks and Python choose kernels, precisions, back ends, epochs,
# styles. Whether they matter depends on the release, so none of them is for us. (LANG and LC_* are not among them: all
# files are UTF-8 whatever they say, and Python may set LC_CTYPE itself.)
_OTHERS = (
    "KERAS_", "TF_", "XLA_", "TORCH", "PYTORCH_", "ATEN_", "CUBLAS_", "CUDNN_", "NVIDIA_TF32_OVERRIDE", "ONEDNN_",
    "DNNL_", "MKL_", "KMP_", "OPENBLAS_", "NPY_", "MPL", "MATPLOTLIBRC", "SOURCE_DATE_EPOCH", "PYTHONHASHSEED",
    "PYTHONINSPECT", "PYTHONOPTIMIZE", "PYTHONWARNINGS",
)  # fmt: skip
_SETTLED = "GAIA_SETTLED"  # once is enough, whatever a Python sets as it starts


def settle() -> None:
    """Begin this process anew without those variables, unless it has none of them; to be called before any import of
    what reads them. How many threads to take stays the shell's to say."""
    kept = {name: value for name, value in os.environ.items() if not _is_others(name)}
    if len(kept) < len(os.environ) and _SETTLED not in os.environ:
        os.execve(sys.executable, sys.orig_argv, kept | {_SETTLED: "1"})


def _is_others(name: str) -> bool:
    return name.startswith(_OTHERS) and not name.endswith("_THREADS")
