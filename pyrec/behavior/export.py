"""Writes the body of a behavior model as a GGUF of architecture `llama`, which llama.cpp runs.

The file has no tokenizer and one row of tokens that nobody reads: rows go in as vectors and hidden
states come out (`model.py`).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt
import torch

from pyrec.behavior.content import Content
from pyrec.behavior.network import EPSILON, ROPE_BASE, Network
from pyrec.behavior.state import BehaviorState
from pyrec.errors import ModelFileError, StoreError
from pyrec.llama import requantize
from pyrec.memory_file import memory_file


def export(network: Network, *, kind: str = "Q8_0") -> bytes:
    """Return the body as a GGUF file.

    Args:
        network: a trained one.
        kind: `F32`, or a kind that `llama.requantize` knows.

    Raises:
        StoreError: there is no room for temporary files.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="pyrec-") as folder:
            path = Path(folder, "body.gguf")
            _write(network, path)
            if kind != "F32":
                small = Path(folder, "small.gguf")
                requantize(path, small, kind)
                path = small
            return path.read_bytes()
    except (OSError, ModelFileError) as error:
        raise StoreError(
            f"the model cannot be written to {tempfile.gettempdir()} ({error}); make room there "
            "and train again. The model in use stays"
        ) from error


def _write(network: Network, path: Path) -> None:
    config = network.config
    writer = gguf.GGUFWriter(path, "llama")
    try:
        writer.add_name("pyrec behavior model")
        writer.add_block_count(config.n_layers)
        writer.add_context_length(2 * config.length)
        writer.add_embedding_length(config.width)
        writer.add_feed_forward_length(config.feed_forward)
        writer.add_head_count(config.n_heads)
        writer.add_layer_norm_rms_eps(EPSILON)
        writer.add_rope_freq_base(ROPE_BASE)
        writer.add_rope_dimension_count(config.width // config.n_heads)
        writer.add_vocab_size(1)
        writer.add_tokenizer_model("none")
        writer.add_file_type(gguf.LlamaFileType.ALL_F32)
        writer.add_tensor("token_embd.weight", np.zeros((1, config.width), np.float32))
        for name, tensor in network.state_dict().items():
            part, _, rest = name.partition(".")
            if part in ("blocks", "output_norm"):
                name = f"blk.{rest}" if part == "blocks" else name
                writer.add_tensor(name, tensor.detach().float().cpu().numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def start_from(
    state: BehaviorState, content: Content, n_items: int, n_actions: int
) -> dict[str, npt.NDArray[np.float32]]:
    """Return the weights of a kept model, to go on training from.

    Args:
        state: the model.
        content: what is known of the items, those first that the model knows.
        n_items: how many there are now.
        n_actions: the same of actions.
    """
    table = state.table
    torch.manual_seed(state.config.seed)
    network = Network(n_items, n_actions, content, len(table.words), state.config)
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    weights["words"], weights["projection"] = table.rows, table.projection
    n_old = len(state.item_ids)
    rows = state.rows.astype(np.float32) * state.scales[:, None]
    learned, bias = weights["learned"], weights["bias"]
    bias[:n_items] = table.bias
    # A row is what was learned of an item and what its content says; the content is known again.
    learned[:n_old] = rows[:n_old] - table.rows_of(content)[:n_old]
    bias[:n_old] = state.bias[:n_old]
    for n, row in enumerate(range(n_old, len(rows))):
        learned[n_items + n], bias[n_items + n] = rows[row], state.bias[row]
    with memory_file() as (file, path):
        file.write(state.body)
        file.flush()
        for tensor in gguf.GGUFReader(path).tensors:
            if tensor.name != "token_embd.weight":
                name = tensor.name.replace("blk.", "blocks.", 1)
                # Rows of blocks lie as bytes; what comes out is (rows, columns) as in PyTorch.
                whole = gguf.dequantize(tensor.data, tensor.tensor_type)
                weights[name] = whole.astype(np.float32).reshape(weights[name].shape)
    return weights
