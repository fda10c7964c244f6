"""What calls cost, and how much of it a command may spend."""

from __future__ import annotations

from pydantic import Field

from sciexam.types import Record


class Price(Record):
    """USD per million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)

    def of(self, input_tokens: int | None, output_tokens: int | None) -> float | None:
        """What a call cost in USD; None where the endpoint did not say how many tokens it took."""
        if input_tokens is None or output_tokens is None:
            return None
        return (input_tokens * self.input + output_tokens * self.output) / 1e6
