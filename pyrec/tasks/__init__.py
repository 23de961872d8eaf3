"""Tasks: each turns a question into an answer from a closed set."""
