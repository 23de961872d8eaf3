"""Reads the weights of a GGUF into arrays, whatever their quantization.

`network.py` calls it. The place of each tensor is known from pyrec's own reader of heads, which
steps over the vocabulary; the `gguf` package knows how blocks are unpacked.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

from pyrec.errors import ModelFileError
from pyrec.gguf_header import Block, GgufHeader

F32 = npt.NDArray[np.float32]


class Weights:
    """The tensors of one file.

    Args:
        path: a GGUF file.
        header: of it.
    """

    def __init__(self, path: Path, header: GgufHeader) -> None:
        self._path, self._tensors = path, header.tensors

    def __contains__(self, name: str) -> bool:
        """Tell whether the file has a tensor."""
        return name in self._tensors

    def read(self, name: str) -> F32:
        """Return a tensor, as (rows, columns) or (columns,) float32.

        Raises:
            ModelFileError: there is none of this name, or its quantization is not known.
        """
        block = self._tensors.get(name)
        if block is None:
            raise ModelFileError(f"{self._path.name} has no tensor {name}; it cannot be adapted")
        shape = tuple(reversed(block.shape))
        data = np.fromfile(self._path, np.uint8, block.n_bytes, offset=block.start)
        return self._unpacked(name, block, data).astype(np.float32, copy=False).reshape(shape)

    def _unpacked(self, name: str, block: Block, data: npt.NDArray[np.uint8]) -> F32:
        kind = gguf.GGMLQuantizationType(block.type)
        if kind == gguf.GGMLQuantizationType.F32:
            return data.view(np.float32)
        if kind == gguf.GGMLQuantizationType.F16:
            return data.view(np.float16).astype(np.float32)
        try:
            rows: F32 = gguf.dequantize(data.reshape(block.shape[1], -1), kind)
        except NotImplementedError as error:
            raise ModelFileError(
                f"{self._path.name}: {name} is quantized as {kind.name}, which cannot be read "
                f"({error}); take a file in Q8_0 or Q4_K_M"
            ) from None
        return rows
