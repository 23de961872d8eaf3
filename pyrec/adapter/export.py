"""Writes what was learned beside a text model as a GGUF adapter, which llama.cpp loads.

Each pair of matrices keeps the name of the one that it stands beside. Source: `llama-adapter.cpp`
of llama.cpp, which wants a (rank, columns) and (rows, rank) and counts them alpha / rank times.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

from pyrec.errors import StoreError

Learned = Mapping[str, npt.NDArray[np.float32]]
"""By the names of `Network.state_dict`: blocks.N.MATRIX.lora_a and .lora_b."""


def export(learned: Learned, architecture: str, alpha: float) -> bytes:
    """Return an adapter as a GGUF file.

    Args:
        learned: what `Network.state_dict` holds.
        architecture: of the text model, by llama.cpp's name.
        alpha: what is learned counts alpha / rank times.

    Raises:
        StoreError: there is no room for a temporary file.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="pyrec-") as folder:
            path = Path(folder, "adapter.gguf")
            _write(path, learned, architecture, alpha)
            return path.read_bytes()
    except OSError as error:
        raise StoreError(
            f"the adapter cannot be written to {tempfile.gettempdir()} ({error}); make room there "
            "and train again. What is in use stays"
        ) from error


def _write(path: Path, learned: Learned, architecture: str, alpha: float) -> None:
    writer = gguf.GGUFWriter(path, architecture)
    try:
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_name("pyrec adapter")
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
        for name, array in sorted(learned.items()):
            _, layer, matrix, part = name.split(".")
            # float16 halves the file; beside weights of 4 to 8 bits its rounding is not seen.
            rounded = np.ascontiguousarray(array, np.float16)
            writer.add_tensor(f"blk.{layer}.{matrix}.weight.{part}", rounded)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
