"""The text model adapted to one catalog: a low-rank addition to its weights, fitted on the store.

`pairs.py` and `histories.py` take examples from a store, `packing.py` lays them side by side,
`shape.py`, `weights.py` and `network.py` are the text model in PyTorch (the extra `pyrec[train]`),
`fit.py` learns by maximum likelihood, `export.py` writes what it learned as a GGUF adapter,
`judge.py` asks llama.cpp what that is worth and `training.py` does all of it.
"""
