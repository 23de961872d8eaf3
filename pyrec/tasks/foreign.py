"""Names in another script than the catalog's: 恐怖片 for Horror, huawei for 华为.

The text model writes the words as one of the values that are names (brands, authors, genres), by a
beam over their trie, and then each of the first few back as the words. Only a name that is clearly
the best both ways counts: small models take 惊悚片 for Horror, but write Thriller back. What is not
sure stays a preference. `need` calls this.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pyrec.answer_trie import AnswerTrie
from pyrec.decoding import BeamConfig, beam_search, read_all
from pyrec.lm import TextModel
from pyrec.prompts import Prompt
from pyrec.survey import Named, Survey
from pyrec.tasks.names import is_genre, is_naming
from pyrec.text import SPACELESS

F64 = npt.NDArray[np.float64]

LEAST = 1.0
"""What log P(name | words) - ½ log P(name) must reach, in nats."""
MARGIN = 2.5
"""How far the second name must be behind, both ways together, in nats. Chosen with LEAST by 130
words of ours: every name that they took wrongly is behind by less, but for one."""
N_BACK = 3
MAX_NAMES = 5000
MAX_SEGMENTS = 3
_SAYS_KIND = re.compile(r"片|电影|電影|影片|类|題材|题材|剧|小说|動畫|动画|漫")
_BEFORE = re.compile(r"^(?:上个?世纪|那时)?(?:的|年的?|些|个)+|^(?:上个?世纪)$")
"""What is left over where a number was cut out: 1995年的犯罪片."""
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
        self._trie: tuple[tuple[str, str], AnswerTrie] | None = None

    def segments(self, text: str) -> list[str]:
        """Return the parts of a text that are in another script than the names."""
        if not self.names:
            return []
        if self._language in ("zh", "ja", "ko"):
            return [] if _SPACELESS_RUN.search(text) else [text] if _LATIN_WORD.search(text) else []
        # 村上春树的书: whose it is stands before 的, unless that says of which kind.
        runs = [_BEFORE.sub("", m[0]) for m in _SPACELESS_RUN.finditer(text)][:MAX_SEGMENTS]
        runs = [run if _SAYS_KIND.search(run) else _OF.sub("", run) for run in runs]
        return [run for run in runs if len(run) > 1]

    def write(
        self,
        words: str,
        load: Callable[[], TextModel | None],
        name: str,
        prompt: Prompt,
        back: Prompt,
    ) -> tuple[Named, float] | None:
        """Write words as a name; None where there is no model, or it is not sure.

        Args:
            words: in another script.
            load: gives the text model.
            name: its name.
            prompt: answers in the catalog's language.
            back: answers in that of the words.

        Returns:
            The name, and the share of its probability among the names found.
        """
        model = load() if self.names else None
        if model is None or not model.reads_two:
            return None
        if self._trie is None or self._trie[0] != (name, prompt.lead):
            tokens = [model.tokenize(prompt.lead + each.value) for each in self.names]
            self._trie = ((name, prompt.lead), AnswerTrie(tokens))
        start = model.tokenize(prompt.ask(words[:100]), start=True)
        neutral = model.tokenize(prompt.ask(prompt.neutral[0]), start=True)
        with model.lock:
            found = beam_search(model, self._trie[1], start, 3, _BEAM, neutral)
        if not found or found[0].score < LEAST:
            return None
        names = [self.names[answer.index] for answer in found[:N_BACK]]
        both = _written_back(model, names, words[:100], back)
        both += np.array([answer.score for answer in found[:N_BACK]])
        behind = both[0] - both[1:].max() if len(both) > 1 else MARGIN
        if behind < MARGIN:
            return None
        named = self.names[found[0].index]
        if is_genre(named.column) and not _SAYS_KIND.search(words) and not words.isascii():
            return None  # 战狼 and 奇幻森林 are films, 战争片 is a kind of them
        return named, float(1.0 / (1.0 + np.exp(-behind)))


def _written_back(model: TextModel, names: list[Named], words: str, prompt: Prompt) -> F64:
    """Return log P(words | name) of each name, in nats, less what all have in common."""
    trie = AnswerTrie([model.tokenize(prompt.lead + words)])
    found = [
        read_all(model, trie, model.tokenize(prompt.ask(each.value), start=True))[0]
        for each in names
    ]
    return np.array(found, np.float64)
