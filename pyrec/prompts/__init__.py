"""The wording of prompts: one TOML file a language, named by its code, one table a use."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_FALLBACK = "en"


@dataclass(frozen=True)
class Prompt:
    """How to put a question to a text model.

    Attributes:
        text: ends where the answer begins; `{question}` stands for the user's words.
        lead: what stands between the prompt and an answer, mostly a space.
        neutral: questions that mean nothing in particular, for the answers' priors.
    """

    text: str
    lead: str
    neutral: tuple[str, ...]

    def ask(self, question: str) -> str:
        """Write the prompt for a question, on one line so that it cannot pose as an example."""
        return self.text.replace("{question}", " ".join(question.split()))


@lru_cache(maxsize=16)
def load(language: str, use: str) -> Prompt:
    """Return the prompt of a language for a use (`need`, `titles`).

    A language without a file of its own is asked in English: the answers are the catalog's anyway.
    """
    folder = resources.files("pyrec.prompts")
    file = folder.joinpath(f"{language}.toml")
    if not file.is_file():
        file = folder.joinpath(f"{_FALLBACK}.toml")
    table = tomllib.loads(file.read_text(encoding="utf-8"))[use]
    return Prompt(table["text"], table["lead"], tuple(table["neutral"]))
