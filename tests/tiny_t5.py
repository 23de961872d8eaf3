"""A tiny encoder-decoder as a GGUF file, random but fixed: one layer each side, no tokenizer."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

WIDTH, HEADS, HEAD, FEED, N_VOCAB, START = 32, 2, 16, 64, 40, 0


def write_t5(path: Path, *, seed: int = 0) -> Path:
    """Write the model and return its path."""
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "t5")
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(FEED)
    writer.add_block_count(1)
    writer.add_head_count(HEADS)
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_layer_norm_eps(1e-6)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_relative_attn_buckets_count(8)
    writer.add_decoder_start_token_id(START)
    writer.add_vocab_size(N_VOCAB)
    writer.add_tokenizer_model("none")

    def add(name: str, *shape: int) -> None:
        values = np.ones(shape) if "norm" in name else rng.normal(0.0, 0.3, shape)
        writer.add_tensor(f"{name}.weight", values.astype(np.float32))

    add("token_embd", N_VOCAB, WIDTH)
    add("output", N_VOCAB, WIDTH)
    for side in ("enc", "dec"):
        add(f"{side}.output_norm", WIDTH)
        attentions = ("attn",) if side == "enc" else ("attn", "cross_attn")
        for attention in attentions:
            add(f"{side}.blk.0.{attention}_norm", WIDTH)
            for part in "qkv":
                add(f"{side}.blk.0.{attention}_{part}", HEADS * HEAD, WIDTH)
            add(f"{side}.blk.0.{attention}_o", WIDTH, HEADS * HEAD)
        add(f"{side}.blk.0.attn_rel_b", 8, HEADS)
        add(f"{side}.blk.0.ffn_norm", WIDTH)
        add(f"{side}.blk.0.ffn_up", FEED, WIDTH)
        add(f"{side}.blk.0.ffn_down", WIDTH, FEED)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
