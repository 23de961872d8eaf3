"""JSON and JSONL files as a stream of objects.

The standard parser reads a whole array into memory; here it gets one element at a time, from a
buffer about as long as the longest of them. `readers.py` asks for the objects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from pyrec.delimited import Row
from pyrec.errors import CatalogError
from pyrec.text_lines import BAD_BYTE, LONGEST_ROW, Lines

_CHUNK = 1 << 18  # characters
_BETWEEN = re.compile(r"[\s,]*")
# As far from the end of what was read as an error may point when more would repair it: a cut
# escape such as \u12 is reported where it begins.
_CUT = 16


def jsonl_rows(file: TextIO, _: object = None) -> Iterator[Row]:
    """Walk the objects of a file that holds one a line."""
    lines = Lines(file)
    for line in lines:
        problem, lines.problem = lines.problem, None
        if problem:
            yield lines.count, problem
        elif not line.isspace():
            try:
                yield lines.count, _object(json.loads(line))
            except (ValueError, RecursionError) as error:
                yield lines.count, f"not valid JSON ({error})"


def json_rows(file: TextIO, _: object = None) -> Iterator[Row]:
    """Walk the objects of the array in a file, or those that it holds one after another.

    Raises:
        CatalogError: the text is not JSON from some line on, or ends within the array.
    """
    for line, text, value in _elements(file):
        if not text.isascii() and BAD_BYTE.search(text):
            yield line, "it is not valid UTF-8; save the file as UTF-8"
        else:
            yield line, _object(value)


def _object(value: Any) -> Mapping[str, Any] | str:
    return value if isinstance(value, dict) else f"it is {str(value)[:40]!r}, not an object"


def _elements(file: TextIO) -> Iterator[tuple[int, str, Any]]:
    """Walk the elements of the array in a file, or the values that it holds one after another.

    Yields:
        The line an element begins at, from 1, its text, and its value.
    """
    decoder = json.JSONDecoder()
    buffer = file.read(_CHUNK)
    at_end = not buffer
    line = 1
    start = _skip(buffer, 0)
    in_array = buffer.startswith("[", start)
    position = start + 1 if in_array else 0
    counted = 0  # characters whose line breaks are in `line`
    while True:
        position = _skip(buffer, position)
        if position < len(buffer):
            line += buffer.count("\n", counted, position)
            counted = position
            if in_array and buffer[position] == "]":
                _check_rest(buffer[position + 1 :] + file.read(_CHUNK), line)
                return
            try:
                value, end = decoder.raw_decode(buffer, position)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated") or error.pos >= len(buffer) - _CUT
                if at_end or not cut:
                    line += buffer.count("\n", counted, error.pos)
                    raise _broken(line, error.msg, at_end and cut) from None
            except (RecursionError, ValueError) as error:
                raise _broken(line, str(error), False) from None
            else:
                # A number at the very end may go on in the next piece.
                if end < len(buffer) or at_end:
                    yield line, buffer[position:end], value
                    position = end
                    continue
        if at_end:
            if in_array:
                raise _broken(line, "the list does not end", True)
            return
        if len(buffer) - position > LONGEST_ROW:
            raise _broken(line, f"an element of more than {LONGEST_ROW >> 20} MB", False)
        # At least as much again as is kept, so that a long element is not parsed too often.
        more = file.read(max(_CHUNK, len(buffer) - position))
        at_end = not more
        line += buffer.count("\n", counted, position)
        buffer, position, counted = buffer[position:] + more, 0, 0


def _skip(buffer: str, position: int) -> int:
    match = _BETWEEN.match(buffer, position)
    return match.end() if match else position


def _check_rest(rest: str, line: int) -> None:
    if rest.strip():
        raise _broken(line, f"text after the end of the list: {rest.strip()[:40]!r}", False)


def _broken(line: int, why: str, truncated: bool) -> CatalogError:
    what = "the file ends too early" if truncated else "not valid JSON"
    return CatalogError(f"line {line}: {what} ({why}); nothing of the file was imported")
