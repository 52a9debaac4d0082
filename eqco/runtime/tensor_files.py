"""Files of `torch.save`, also of other programs: read without running code that they may hold."""

from __future__ import annotations

import json
import shlex
import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import IO, Any

import torch
from torch import Tensor

from eqco.runtime.validation import first_line, lacks_memory

# What torch says where a file holds more than tensors, numbers, texts and tables of them.
OBJECTS = (
    "Unsupported global",
    "Unsupported class",
    "Unsupported operand",
    "TorchScript",
    "GLOBAL",
)
PLAIN = "plain.pt"
# Programs put the weights, or a module, into one of some entries.
OF_PICKLE = """import torch; s = torch.load({path}, "cpu", weights_only=False); \
n = ("state_dict", "model", "model_state_dict"); \
s = next((s[k] for k in n if isinstance(s, dict) and k in s), s); \
torch.save(getattr(s, "state_dict", lambda: s)(), "{plain}")"""
OF_SAFETENSORS = """import torch; from safetensors.torch import load_file; \
torch.save(load_file({path}), "{plain}")"""


def line_for(path: Path, code: str) -> str:
    """The line for a shell that makes a plain file of another one."""
    name = json.dumps(str(path), ensure_ascii=False)
    return shlex.join(["python", "-c", code.format(path=name, plain=PLAIN)])


def verify(stream: IO[bytes]) -> None:
    """Raise ValueError where a part of torch's zip file differs from its checksum.

    `torch.load` does not compare them: a flipped bit in a weight would load silently.
    """
    size = stream.seek(0, 2)
    with zipfile.ZipFile(stream) as archive:
        tensors = [entry.file_size for entry in archive.infolist() if "/data/" in entry.filename]
        if sum(tensors) > size:  # they are never compressed
            raise ValueError("its parts are larger than the file")
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"{damaged} does not match its checksum")


def holds_pickle(stream: IO[bytes]) -> bool:
    """Whether a file holds Python's objects at all, in torch's zip format or the one before it."""
    if not zipfile.is_zipfile(stream):
        stream.seek(0)
        return stream.read(1) == b"\x80"
    with zipfile.ZipFile(stream) as archive:
        return any(name.endswith(".pkl") for name in archive.namelist())


def load_tensors(path: Path, *, sealed: bool = False) -> Any:
    """What a file of `torch.save` holds, on the CPU; `sealed` reads only torch's zip format.

    Raises:
        OSError: it cannot be opened.
        MemoryError: it does not fit into memory.
        ValueError: it is damaged, of another kind, or holds Python objects; then with the line that
            makes a file of its tensors alone.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is no regular file")
    with path.open("rb") as stream:
        head = stream.read(9)
        if not head:
            raise ValueError("the file is empty")
        if head[8:] == b"{":
            raise ValueError(
                f"it is of safetensors, {line_for(path, OF_SAFETENSORS)} makes {PLAIN}"
            )
        try:
            if sealed or zipfile.is_zipfile(stream):
                verify(stream)
            stream.seek(0)
            return torch.load(stream, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many types
            if lacks_memory(error):
                raise MemoryError(f"{path} is too large") from error
            if any(word in str(error) for word in OBJECTS) and holds_pickle(stream):
                raise ValueError(
                    "it holds Python objects, which may run code: if you trust it, "
                    f"{line_for(path, OF_PICKLE)} makes {PLAIN}"
                ) from error
            no_file = isinstance(error, EOFError | IndexError | UnpicklingError)
            why = "it is damaged, or not of torch.save" if no_file else first_line(error)
            raise ValueError(why) from error


def check_size(name: str, tensor: Tensor, path: Path) -> None:
    """Raise ValueError where a tensor is larger than its file, as a number expanded to many."""
    claimed, size = tensor.numel() * tensor.element_size(), path.stat().st_size
    if claimed > size:
        raise ValueError(f"{name} would take {claimed:,} bytes, the file has {size:,}")
