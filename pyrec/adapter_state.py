"""What the store keeps of an adapter, in one piece: the GGUF, and which text model it is for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from pyrec.errors import ModelFileError
from pyrec.model_folder import ModelFile, read_record

FORMAT = 1
_DIGEST = 32


@dataclass(frozen=True)
class AdapterState:
    """A trained adapter.

    Attributes:
        data: the GGUF adapter.
        model: the name of the text model that it was trained beside.
        sha256: of that model's file.
        kinds: of questions that it was trained for.
        n_users: whose histories it has learned from; 0 where it holds nothing of anybody.
        reached: the newest event that it knows, by `event_id`; -1 for none.
        steps: of training.
    """

    data: bytes
    model: str
    sha256: str
    kinds: tuple[str, ...]
    n_users: int
    reached: int
    steps: int

    def pack(self) -> bytes:
        """Return the whole as bytes: checksum, length of the facts, facts, GGUF."""
        facts = {name: value for name, value in vars(self).items() if name != "data"}
        told = json.dumps({"format": FORMAT, **facts}).encode("utf-8")
        data = len(told).to_bytes(4, "little") + told + self.data
        return hashlib.sha256(data).digest() + data

    @classmethod
    def unpack(cls, packed: bytes) -> AdapterState:
        """Read what `pack` wrote.

        Raises:
            ModelFileError: the bytes are damaged, or of a newer pyrec.
        """
        data = packed[_DIGEST:]
        if hashlib.sha256(data).digest() != packed[:_DIGEST]:
            raise ModelFileError(
                "the adapter of this store is damaged; train it again with `pyrec train --text`"
            )
        end = 4 + int.from_bytes(data[:4], "little")
        facts = json.loads(data[4:end])
        if facts.pop("format") != FORMAT:
            raise ModelFileError(
                "the adapter of this store was trained by another version of pyrec; update pyrec, "
                "or train it again with `pyrec train --text`"
            )
        facts["kinds"] = tuple(facts["kinds"])
        return cls(data[end:], **facts)

    def check(self, model: str, sha256: str) -> None:
        """Check that it is for a text model.

        Raises:
            ModelFileError: it was trained beside another.
        """
        if self.sha256 != sha256:
            raise ModelFileError(
                f"the adapter of this store was trained beside {self.model}, and {model} is in "
                "use; take that text model, or train it again with `pyrec train --text`"
            )


def sha256_of(file: ModelFile) -> str:
    """Return the checksum of a model's file: from its record, else read."""
    record = read_record(file.path)
    if record is not None and record.fits(file.path):
        return record.sha256
    with open(file.path, "rb") as opened:
        found = hashlib.sha256()
        while chunk := opened.read(1 << 20):
            found.update(chunk)
    return found.hexdigest()
