"""The weights and the threshold that a register starts with, before its examiners have taught it anything.

Fitted on the training families only (benchmarks/fit_descriptors.py --write) and shipped. A descriptor may be on
with weight 0: it is described, stored and shown, and an administrator or the tuning can give it weight.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from search.retrieval.durable import write_whole
from search.retrieval.parameters import ClusterParameters

SHIPPED = Path(__file__).parent / "weights" / "first_weights.json"


@dataclass(frozen=True)
class FirstWeights:
    """weights: descriptor -> W_n >= 0, together 1; one that is not named starts at 0. threshold: tau, 0..1.

    made_for: the descriptors' version they were fitted on; "" where nothing was fitted.
    Raises ValueError with a sentence when a value is out of range.
    """

    weights: Mapping[str, float]
    threshold: float
    made_for: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        ClusterParameters(self.weights, self.threshold, 0.0)
        object.__setattr__(self, "weights", dict(self.weights))

    @cached_property
    def version(self) -> str:
        content = json.dumps(self._content(), sort_keys=True)
        return "w" + hashlib.sha256(content.encode()).hexdigest()[:12]

    def of(self, names: Sequence[str]) -> dict[str, float]:
        """W of these descriptors: the share of those that are off goes to the others, in proportion.

        Equal weights where none of them has any.
        """
        shares = {name: float(self.weights.get(name, 0.0)) for name in names}
        total = sum(shares.values())
        if total <= 0:
            return dict.fromkeys(names, 1 / len(shares))
        return {name: share / total for name, share in shares.items()}

    def _content(self) -> dict[str, Any]:
        return {"weights": dict(self.weights), "threshold": self.threshold, "made_for": self.made_for}

    def to_json(self) -> dict[str, Any]:
        return {**self._content(), "version": self.version}

    @classmethod
    def from_json(cls, data: Any) -> FirstWeights:
        """Inverse of `to_json`; ValueError with a sentence on anything else, or when the version lies."""
        try:
            weights = {str(name): float(value) for name, value in data["weights"].items()}
            made = cls(weights, float(data["threshold"]), made_for=str(data.get("made_for", "")))
            version = data.get("version", made.version)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"These are not first weights: {error!r}.") from None
        if version != made.version:
            raise ValueError("The first weights do not match their version; they were edited or come from other code.")
        return made

    @classmethod
    def shipped(cls) -> FirstWeights:
        """The ones that ship with the project."""
        return cls.load(SHIPPED)

    @classmethod
    def load(cls, path: Path) -> FirstWeights:
        """Raises OSError or ValueError."""
        return cls.from_json(json.loads(path.read_text("utf-8")))

    def save(self, path: Path = SHIPPED) -> None:
        write_whole(path, json.dumps(self.to_json(), indent=1) + "\n")
