"""The lines of a text file of unknown quality, one at a time and of bounded length.

What is wrong with a line is remembered beside it, so that the readers of CSV, TSV and JSONL can
name the row and go on.
"""

from __future__ import annotations

import re
from typing import TextIO

LONGEST_ROW = 16 << 20  # characters; also of a field, and of an element of a JSON list
# Bytes that are not UTF-8, as `errors="surrogateescape"` reads them.
BAD_BYTE = re.compile("[\udc80-\udcff]")


class Lines:
    """The lines of a file; what is wrong with those read since `problem` was cleared is in it."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.problem: str | None = None
        self.count = 0

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        line = self._file.readline(LONGEST_ROW)
        if not line:
            raise StopIteration
        self.count += 1
        if len(line) == LONGEST_ROW and not line.endswith(("\n", "\r")):
            self.problem = f"a line of more than {LONGEST_ROW >> 20} MB"
            while line and not line.endswith(("\n", "\r")):
                line = self._file.readline(LONGEST_ROW)
            return "\n"
        if "\0" in line:
            self.problem = "it holds a NUL byte"
            line = line.replace("\0", "\ufffd")  # csv of Python 3.10 refuses it
        if not line.isascii() and (bad := BAD_BYTE.search(line)):
            byte = ord(bad[0]) - 0xDC00
            self.problem = f"it is not valid UTF-8 (byte {byte:#x}); save the file as UTF-8"
        return line
