"""On what terms the endpoints are asked in one command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from sciexam.errors import UsageError
from sciexam.models.spending import Account, Budget, Price, dollars

if TYPE_CHECKING:
    from sciexam.models.journal import BatchJournal

Engine = Literal["local", "ray"]


@dataclass(frozen=True, slots=True)
class Terms:
    """`max_wait`: seconds that an endpoint may ask a call to wait. `prices`: by the endpoint's name of a model.

    `budget` is what all models of the command may spend together; None: as much as they are asked. `journal`: where
    batches are written down; with one, endpoints are asked through their batch API. `engine`: where local weights are
    asked, in this process or by the nodes of a Ray cluster. `fetch`: whether weights that a hub has and this machine
    has not may be fetched, which is gigabytes; a command that asks nobody does not.
    """

    max_wait: float = 120.0
    prices: Mapping[str, Price] = field(default_factory=dict)
    budget: Budget | None = None
    journal: BatchJournal | None = None
    engine: Engine = "local"
    fetch: bool = False

    @property
    def over_budget(self) -> bool:
        """Whether nothing more is sent because of the budget."""
        return self.budget is not None and self.budget.reached

    @property
    def unasked(self) -> str:
        """Why not all that is owed was asked for, in a sentence; empty where the budget was not reached."""
        if self.budget is None or not self.budget.reached:
            return ""
        spent, usd = self.budget.spent, self.budget.usd
        more = ", since an endpoint billed more than its limits allow" if spent > usd else ""
        return (
            f"The budget of {dollars(usd)} USD is reached: at most {dollars(spent)} USD were spent{more}. What is owed "
            "still was not asked for; the same command goes on, with a budget of its own."
        )

    def account(self, name: str, model: str) -> Account | None:
        """The share in the budget of the model `name`, which its endpoint calls `model`; None without a budget.

        Raises UsageError for a model without a price.
        """
        if self.budget is None:
            return None
        price = self.prices.get(model)
        if price is None:
            raise UsageError(
                f"model {name!r}: a budget needs its price; add to the suite, in USD per million tokens: "
                f"prices: {{{model}: {{input: .., output: ..}}}}; files of answers alone have none: "
                "`sciexam init DIR old.jsonl new.jsonl` writes a suite around them"
            )
        return Account(self.budget, price)


USUAL = Terms()
