"""Rows of a GGUF's matrix, read from the file by need: what a token goes in as, or comes out by.

A table of a large vocabulary is most of a small model, and a text needs a few dozen rows of it.
`embedder.py` reads what goes in, `lm.py` what comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyrec.errors import ModelFileError
from pyrec.gguf_header import Block


class TokenRows:
    """Rows of a matrix that stays in its file, which is open until `close`.

    Args:
        path: the file.
        table: where the matrix lies, quantized or not.

    Attributes:
        width: of a row.
    """

    def __init__(self, path: Path, table: Block) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115
        self._table = table
        self.width = table.shape[0]
        self._row_bytes = table.n_bytes // table.shape[1]

    def close(self) -> None:
        """Close the file; calling it twice is fine."""
        self._file.close()

    def read(self, tokens: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return the (n, width) float32 rows of n tokens; not for two threads at a time.

        Raises:
            ModelFileError: the file has become shorter, or its quantization cannot be read.
        """
        import gguf  # 60 ms, which a program that asks nothing in words need not wait for

        data = bytearray()
        for token in tokens:
            self._file.seek(self._table.start + token * self._row_bytes)
            data += self._file.read(self._row_bytes)
        if len(data) != len(tokens) * self._row_bytes:
            raise ModelFileError(f"{self._file.name} was cut short while in use; fetch it again")
        rows = np.frombuffer(data, np.uint8).reshape(len(tokens), self._row_bytes)
        kind = gguf.GGMLQuantizationType(self._table.type)
        try:
            whole = gguf.dequantize(rows, kind)
        except NotImplementedError:
            raise ModelFileError(
                f"{self._file.name} is quantized as {kind.name}, whose rows cannot be read; take "
                "the model as Q8_0 or Q4_0"
            ) from None
        found: npt.NDArray[np.float32] = whole.astype(np.float32).reshape(-1, self.width)
        return found
