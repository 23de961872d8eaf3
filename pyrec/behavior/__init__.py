"""The behavior model: a small causal language model whose sentences are histories.

`streams.py` writes a log as sentences, `content.py` says what is known of an item before anybody
took it, `network.py` and `fit.py` learn by maximum likelihood (PyTorch, the extra `pyrec[train]`),
`export.py` writes the body as a GGUF, `state.py` is what the store keeps of all this, and
`running.py` runs it through llama.cpp beside a catalog that goes on. `train_behavior.py` calls the
first, the signal `behavior` the last.
"""
