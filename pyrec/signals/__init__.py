"""Signals: each says how well an item fits a question; the mixer weighs them."""
