"""A file of a moment: bytes that llama.cpp, which loads from paths, shall read.

`encoder_file.py` and `lm.py` call it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def memory_file() -> Iterator[tuple[IO[bytes], Path]]:
    """Give an empty file to write, and its path; it goes away at the end.

    Where the system has memory under a file's name, nothing is written to the disk.
    """
    with contextlib.ExitStack() as stack:
        if hasattr(os, "memfd_create"):
            file = stack.enter_context(open(os.memfd_create("pyrec"), "wb"))
            yield file, Path(f"/proc/self/fd/{file.fileno()}")
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pyrec-"))
            path = Path(folder, "model.gguf")
            yield stack.enter_context(open(path, "wb")), path
