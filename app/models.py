"""Settings -> the models of a campaign: which role has which, how each is asked, what it costs, and the trial call.

One client serves all roles that have the same model and are asked in the same way. `checked` finds what is wrong
without opening anything slow; `opened` opens, and asks each language model once before anything is created.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from move37.agents.models import SEARCH, SEAT, Assignment, ModelOptions, assigned, open_model, options_for, parse
from move37.agents.models.assignment import HYBRID
from move37.agents.models.local.catalogue import located
from move37.agents.models.price import FREE, Price, price_of
from move37.app.exits import BadInput
from move37.app.settings import Settings
from move37.lab.tasks.registry import kind_of

if TYPE_CHECKING:
    from autogen_core.models import ChatCompletionClient

TRIAL_SECONDS = 600.0  # that a server may take to start
SMALL = 4 * 2**30  # bytes of a model's file: 1.1 GB wrote no mixer in an hour (docs/figures/society.md)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One model as one or more roles ask it."""

    uri: str
    options: ModelOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedModels:
    """The models of a campaign, opened."""

    clients: Mapping[str, ChatCompletionClient]  # by role; several roles may share one, the search has none
    prices: Mapping[str, Price]  # by role
    trial_tokens: int = 0  # that the trial calls used
    unique: tuple[ChatCompletionClient, ...] = field(default=())


def checked(settings: Settings) -> Assignment:
    """Which role has which model. Raises `BadModel`, or `BadInput` when a cost could not be counted."""
    assignment = assigned(settings.models.model)
    for uri in assignment.uris:
        parse(uri)
    proposes, writes = assignment.models["Researcher"], assignment.models["Engineer"]
    if kind_of(settings.campaign.task).writes == "edits" and writes == SEARCH != proposes:
        raise BadInput(
            f"{proposes} would propose programs that nobody writes, since the search builds nothing from prose: name a "
            f"model for the Engineer as well (--model researcher={proposes},engineer=URI)"
        )
    if settings.campaign.max_cost is not None:
        for role, asked in asked_by_role(settings, assignment).items():
            if price(settings, asked) is None:
                raise BadInput(
                    f"no price is known for {asked.uri} ({role}): --max-cost cannot be kept; use --max-tokens, or "
                    f'write its price into move37.toml under [prices."{asked.uri}"]'
                )
    return assignment


def too_small(assignment: Assignment, task: str) -> str:
    """A sentence where a small model on this machine would have to write mixers; else empty. Raises `BadModel`."""
    uri = assignment.models["Engineer"]
    model = parse(uri)
    if model.provider != "local" or kind_of(task).writes != "grammar":
        return ""
    path, _ = located(model.name)
    if path.stat().st_size >= SMALL:
        return ""
    return (
        f"A model of {path.stat().st_size / 2**30:.1f} GB seldom writes a mixer that passes: with --model "
        f"{HYBRID}{uri} it proposes plans, and the search writes them."
    )


def asked_by_role(
    settings: Settings, assignment: Assignment, *, seed: int = 0, base_url: str | None = None
) -> dict[str, Asked]:
    """How each role asks its model. `base_url` is used where the settings name none."""
    models = settings.models
    address = models.base_url or base_url
    compatible = any(parse(uri).provider == "openai" for uri in assignment.uris)
    found = {}
    for role, uri in assignment.models.items():
        own = getattr(models.roles, role.lower(), None)
        # An address without a role is that of the openai: models, where there are any.
        given = address if parse(uri).provider == "openai" or not compatible else None
        given = (own.base_url if own else None) or given
        options = ModelOptions(
            base_url=given,
            key=models.key if given else None,
            seed=seed,
            temperature=models.temperature if own is None or own.temperature is None else own.temperature,
            effort=(own.effort if own else None) or models.effort,
            reply_tokens=(own.reply_tokens if own else None) or models.reply_tokens,
            reply_seconds=models.reply_seconds,
        )
        found[role] = Asked(uri=uri, options=options_for(uri, options, models.variables))
    return found


def price(settings: Settings, asked: Asked) -> Price | None:
    """What the model costs; None when nobody knows."""
    own = {
        uri: Price(prompt=p.prompt, completion=p.completion, cached=p.cached)
        for uri, p in settings.models.prices.items()
    }
    return price_of(asked.uri, base_url=asked.options.base_url, own=own)


async def opened(
    settings: Settings,
    assignment: Assignment,
    stack: AsyncExitStack,
    *,
    seed: int,
    base_url: str | None,
    on_wait: Callable[[str], None],
) -> OpenedModels:
    """The clients, closed with the stack. Raises `BadModel`, or `ModelUnavailable` when a trial call fails for good."""
    from move37.agents.models.repair import StructuredOutputClient  # loads AutoGen

    asked = asked_by_role(settings, assignment, seed=seed, base_url=base_url)
    clients: dict[Asked, ChatCompletionClient] = {}
    tokens = 0
    for one in asked.values():
        if one in clients or one.uri in (SEARCH, SEAT):
            continue
        client = clients[one] = open_model(one.uri, one.options, on_wait=on_wait)
        stack.push_async_callback(client.close)
        if isinstance(client, StructuredOutputClient):
            usage = await client.trial(seconds=TRIAL_SECONDS)
            tokens += usage.prompt_tokens + usage.completion_tokens
    return OpenedModels(
        clients={role: clients[one] for role, one in asked.items() if one in clients},
        prices={role: price(settings, one) or FREE for role, one in asked.items()},
        trial_tokens=tokens,
        unique=tuple(clients.values()),
    )
