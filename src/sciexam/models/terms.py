"""On what terms the endpoints are asked in one command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sciexam.models.spending import Price


@dataclass(frozen=True, slots=True)
class Terms:
    """`max_wait`: seconds that an endpoint may ask a call to wait. `prices`: by the endpoint's name of a model."""

    max_wait: float = 120.0
    prices: Mapping[str, Price] = field(default_factory=dict)


USUAL = Terms()
