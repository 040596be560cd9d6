"""Models that lie inside installed wheels: found without importing the wheel, run on one thread.

A wheel's own code may import what nothing here needs (torch, a second onnxruntime, TensorFlow), so
its files are looked up and read by name.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any


def wheel_folder(package: str) -> Path | None:
    """The folder of an installed package; None where it is not installed."""
    spec = find_spec(package)
    folders = list(spec.submodule_search_locations or []) if spec else []
    return Path(folders[0]) if folders else None


def wheel_file(package: str, name: str) -> Path | None:
    """A file in the folder of an installed package; None where there is none."""
    folder = wheel_folder(package)
    file = folder / name if folder else None
    return file if file and file.is_file() else None


def onnx_session(model: Path | bytes) -> Any:
    """An onnxruntime session of a model on one thread of the CPU, quiet but for errors."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
