r"""The wording of prompts and sentences: one TOML file a language, named by its code.

A table is one use (`need`, `titles`, `click`, `sentences`). A file of a user's own replaces any
part of it, by language:

    [zh.need]
    text = "搜索：{question}\n商品："
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from pyrec.errors import PromptError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_FALLBACK = "en"
_CODE = re.compile("[a-z]{2,3}")
_PLACEHOLDER = re.compile(r"\{(\w*)\}")


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
        return self.text.replace("{question}", one_line(question))


class Prompts:
    """The wording that comes with pyrec, and what a file replaces of it.

    Args:
        path: a TOML file; None for none.

    Raises:
        PromptError: the file cannot be read, or names what is not there.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self._own: dict[str, dict[str, dict[str, Any]]] = _read(Path(path)) if path else {}

    def table(self, language: str, use: str) -> Mapping[str, Any]:
        """Return all texts of a use in a language; English where there is no file of its own."""
        language = _code(language)
        own = self._own.get(language if _is_there(language) else _FALLBACK, {})
        return {**_shipped(language)[use], **self._own.get(language, own).get(use, {})}

    def load(self, language: str, use: str) -> Prompt:
        """Return the prompt of a language for a use (`need`, `titles`)."""
        table = self.table(language, use)
        return Prompt(table["text"], table["lead"], tuple(table["neutral"]))


def one_line(text: str) -> str:
    """Write a text of others on one line, so that it cannot pose as a part of a prompt."""
    return " ".join(text.split())


def fill(template: str, **values: str) -> str:
    """Put values in the places of a template; braces in the values are left as they are."""
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), template)


def _code(language: str) -> str:
    """Return the code of a language without its region, "zh" for "zh-CN".

    Raises:
        PromptError: it is no code.
    """
    code = re.split("[-_]", language, maxsplit=1)[0].lower()
    if not _CODE.fullmatch(code):
        raise PromptError(f"language {language[:40]!r} is no code; give one such as en or zh")
    return code


def _is_there(language: str) -> bool:
    return resources.files("pyrec.prompts").joinpath(f"{language}.toml").is_file()


@lru_cache(maxsize=16)
def _shipped(language: str) -> dict[str, dict[str, Any]]:
    folder = resources.files("pyrec.prompts")
    file = folder.joinpath(f"{language}.toml")
    if not file.is_file():
        file = folder.joinpath(f"{_FALLBACK}.toml")
    tables: dict[str, dict[str, Any]] = tomllib.loads(file.read_text(encoding="utf-8"))
    return tables


def _read(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    try:
        tables: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PromptError(f"prompts {path}: {error.strerror or error}; name a TOML file") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PromptError(f"prompts {path} is not TOML in UTF-8: {error}") from None
    for language, uses in tables.items():
        entries = _entries(path, language, uses)
        if not _CODE.fullmatch(language):
            raise PromptError(f"prompts {path}: [{language}] is no code; write it like [en.need]")
        for use, texts in entries:
            shipped = _shipped(language)
            if use not in shipped:
                known = ", ".join(shipped)
                raise PromptError(f"prompts {path}: [{language}.{use}] is none of {known}")
            for name, text in _entries(path, f"{language}.{use}", texts):
                _check(f"prompts {path}: {name} in [{language}.{use}]", shipped[use], name, text)
            _check_click(f"prompts {path}: [{language}.{use}]", {**shipped[use], **texts})
    return tables


def _entries(path: Path, name: str, table: Any) -> list[tuple[str, Any]]:
    if not isinstance(table, dict):
        raise PromptError(
            f"prompts {path}: {name} is no table; write it like [en.need], a language and a use"
        )
    return list(table.items())


def _check(what: str, shipped: Mapping[str, Any], name: str, text: Any) -> None:
    if name not in shipped:
        raise PromptError(f"{what} is none of {', '.join(shipped)}")
    like = shipped[name]
    if isinstance(like, list):
        if not isinstance(text, list) or not text or not all(isinstance(t, str) for t in text):
            raise PromptError(f"{what} is {text!r}; give a list of strings")
        return
    if not isinstance(text, str):
        raise PromptError(f"{what} is {text!r}; give a string")
    wanted, found = (set(_PLACEHOLDER.findall(t)) for t in (like, text))
    if unknown := found - wanted:
        places = ", ".join(f"{{{p}}}" for p in sorted(wanted)) or "none"
        raise PromptError(f"{what} holds {{{min(unknown)}}}; the places to fill are {places}")
    if name == "text" and (missing := wanted - found):
        raise PromptError(f"{what} lacks {{{min(missing)}}}, where the question's part belongs")


def _check_click(what: str, table: Mapping[str, Any]) -> None:
    """Check what `yes` and `no` need: two different answers, and the item after all the rest."""
    if "yes" not in table:
        return
    if not table["yes"].strip() or not table["no"].strip() or table["yes"] == table["no"]:
        raise PromptError(f"{what}: yes and no must be two different words")
    *before, last = _PLACEHOLDER.findall(table["text"])
    if last != "item" or "item" in before:
        raise PromptError(f"{what}: {{item}} must stand once in text, behind the other places")
