"""matplotlib, whatever the user's settings of it are."""

from __future__ import annotations

import os
from types import ModuleType


def load_matplotlib() -> ModuleType:
    """Import matplotlib; a backend named in the environment, which may be missing, is not asked.

    A notebook sets MPLBACKEND for its children too.
    """
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    return matplotlib
