"""Whether a processor computes in bfloat16 itself. Where it does not, bfloat16 is emulated.

An emulated training step takes about ten times as long as one in float32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

CPUINFO = Path("/proc/cpuinfo")
UNITS = {"avx512_bf16", "amx_bf16", "bf16", "sve_bf16"}  # of x86; of ARM


def reported_units() -> set[str]:
    """The processor's units for bfloat16, as torch reports them, or Linux where torch does not.

    Empty also where neither reports anything: on macOS and Windows with an early torch.
    """
    capabilities: Any = getattr(torch.cpu, "get_capabilities", dict)()
    if capabilities:
        return {name for name in UNITS if capabilities.get(name)}
    try:
        return UNITS.intersection(CPUINFO.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return set()


def emulation(precision: str, device: str) -> str:
    """Why training in a precision on a device would be slow; "" where it would not be."""
    if precision != "bfloat16" or device != "cpu" or reported_units():
        return ""
    return (
        "training in bfloat16 on this CPU, which reports no units for it, takes about ten times "
        "as long as in float32"
    )


def fast_precision(precision: str, device: str) -> str:
    """The precision of a recipe, or float32 where the machine only emulates it."""
    return "float32" if emulation(precision, device) else precision
