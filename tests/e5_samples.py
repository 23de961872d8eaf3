"""A tiny encoder in the container of multilingual-e5-small, and the GGUF that is made of it."""

from __future__ import annotations

import struct

import gguf
import numpy as np

WIDTH, LAYERS, HEADS, FEED_FORWARD, POSITIONS, TYPES, EPSILON = 64, 2, 2, 128, 40, 2, 1e-12
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "\u2581", "\u2581to", "to", *"abcdeot", "<mask>"]
SCORES = [0.0] * 4 + [-2.0, -1.0, -1.5] + [-3.0 - i / 10 for i in range(7)] + [0.0]
N_ROWS = len(PIECES) + 3  # the real matrix is padded too


def quantized(rng, rows, columns):
    values = rng.normal(0, 0.3, (rows, columns)).astype(np.float32)
    return gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q4_0)


def tensors_of(rng):
    """Draw the tensors of a tiny encoder: name to (kind, array as it lies in the file)."""
    tensors = {
        "emb.word": (1, quantized(rng, N_ROWS, WIDTH)),
        "emb.pos": (0, rng.normal(0, 0.3, (POSITIONS, WIDTH))),
        "emb.type": (0, rng.normal(0, 0.3, (TYPES, WIDTH))),
    }
    norms = ["emb.ln"]
    for n in range(LAYERS):
        for name in ("q", "k", "v", "ao"):
            tensors[f"l{n}.{name}.w"] = (1, quantized(rng, WIDTH, WIDTH))
            tensors[f"l{n}.{name}.b"] = (0, rng.normal(0, 0.1, WIDTH))
        tensors[f"l{n}.fi.w"] = (1, quantized(rng, FEED_FORWARD, WIDTH))
        tensors[f"l{n}.fi.b"] = (0, rng.normal(0, 0.1, FEED_FORWARD))
        tensors[f"l{n}.fo.w"] = (1, quantized(rng, WIDTH, FEED_FORWARD))
        tensors[f"l{n}.fo.b"] = (0, rng.normal(0, 0.1, WIDTH))
        norms += [f"l{n}.aln", f"l{n}.oln"]
    for name in norms:
        tensors[f"{name}.w"] = (0, rng.normal(1, 0.1, WIDTH))
        tensors[f"{name}.b"] = (0, rng.normal(0, 0.1, WIDTH))
    return {
        name: (kind, array if kind else array.astype("<f4"))
        for name, (kind, array) in tensors.items()
    }


def container(tensors, *, version=1, block=32):
    """Write an E5S1 container in memory."""
    text = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, text)]).astype("<u4")
    n = len(PIECES)
    sizes = (WIDTH, LAYERS, HEADS, FEED_FORWARD, N_ROWS, POSITIONS, TYPES)
    head = b"E5S1" + struct.pack("<I7ifi", version, *sizes, EPSILON, block)
    head += struct.pack("<5iQ", n, 0, 2, 1, 3, offsets[-1])
    head += offsets.tobytes() + np.array(SCORES, "<f4").tobytes() + b"".join(text)
    one_rule = struct.pack("<IBI", ord("\t"), 1, ord(" "))
    head += struct.pack("<iI", 1, len(one_rule)) + one_rule
    head += struct.pack("<i", len(tensors))
    start = len(head) + sum(2 + len(name) + 21 for name in tensors)
    start += -start % 32
    table, body = b"", b""
    for name, (kind, array) in tensors.items():
        n_weights = array.size * 32 // 18 if kind else array.size
        table += struct.pack("<H", len(name)) + name.encode()
        table += struct.pack("<BIQQ", kind, n_weights, start + len(body), array.nbytes)
        body += array.tobytes()
    return (head + table).ljust(start, b"\0") + body
