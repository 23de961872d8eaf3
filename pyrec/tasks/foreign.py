"""Names in another script than the catalog's: 恐怖片 for Horror, huawei for 华为.

The text model writes the words as one of the values that are names (brands, authors, genres), by a
beam over their trie. What it is not sure of stays a preference: a name counts where it scores
clearly above the second one. `need` calls this.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pyrec.decoding import AnswerTrie, BeamConfig, beam_search
from pyrec.lm import TextModel
from pyrec.prompts import Prompt
from pyrec.survey import Named, Survey
from pyrec.tasks.names import is_genre, is_naming
from pyrec.text import SPACELESS

LEAST = 1.0
"""What log P(name | words) - ½ log P(name) must reach, in nats."""
MARGIN = 1.0
"""How far the second name must be behind, in nats."""
MAX_NAMES = 5000
MAX_SEGMENTS = 3
_SAYS_KIND = re.compile(r"片|电影|電影|影片|类|題材|题材|剧|小说|動畫|动画|漫")
_OF = re.compile(r"(?<=\w\w)的\w*$")
_BEAM = BeamConfig(num_beams=6, alpha=0.5)
_SPACELESS_RUN = re.compile(f"[{SPACELESS}]{{2,}}")
_LATIN_WORD = re.compile(r"[A-Za-z][A-Za-z'-]{2,}")


class ForeignNames:
    """Finds names of one catalog that a question writes in another script.

    Args:
        survey: the catalog's columns.
        language: what the catalog is written in.
    """

    def __init__(self, survey: Survey, language: str) -> None:
        self._language = language
        self.names = [
            Named(column, value, n)
            for column, values in survey.values.items()
            if is_naming(column)
            for value, n in values.items()
            if bool(_SPACELESS_RUN.search(value)) == (language in ("zh", "ja", "ko"))
        ][:MAX_NAMES]
        self._trie: tuple[str, AnswerTrie] | None = None

    def segments(self, text: str) -> list[str]:
        """Return the parts of a text that are in another script than the names."""
        if not self.names:
            return []
        if self._language in ("zh", "ja", "ko"):
            return [] if _SPACELESS_RUN.search(text) else [text] if _LATIN_WORD.search(text) else []
        # 村上春树的书: whose it is stands before 的, unless that says of which kind.
        runs = [m[0] for m in _SPACELESS_RUN.finditer(text)][:MAX_SEGMENTS]
        return [run if _SAYS_KIND.search(run) else _OF.sub("", run) for run in runs]

    def write(
        self, words: str, load: Callable[[], TextModel | None], name: str, prompt: Prompt
    ) -> tuple[Named, float] | None:
        """Write words as a name; None where there is no model, or it is not sure.

        Returns:
            The name, and the share of its probability among the names found.
        """
        model = load() if self.names else None
        if model is None or not model.reads_two:
            return None
        if self._trie is None or self._trie[0] != name:
            tokens = [model.tokenize(prompt.lead + each.value) for each in self.names]
            self._trie = (name, AnswerTrie(tokens))
        start = model.tokenize(prompt.ask(words[:100]), start=True)
        neutral = model.tokenize(prompt.ask(prompt.neutral[0]), start=True)
        with model.lock:
            found = beam_search(model, self._trie[1], start, 3, _BEAM, neutral)
        if not found or found[0].score < LEAST:
            return None
        behind = found[0].score - (found[1].score if len(found) > 1 else -9.0)
        if behind < MARGIN:
            return None
        named = self.names[found[0].index]
        if is_genre(named.column) and not _SAYS_KIND.search(words) and not words.isascii():
            return None  # 战狼 and 奇幻森林 are films, 战争片 is a kind of them
        return named, 1.0 / (1.0 + 2.718281828 ** (-behind))
