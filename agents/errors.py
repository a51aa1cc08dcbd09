"""What can go wrong with the agents themselves (an experiment that fails is data, not an error).

    AgentError
    |- BadModel            no such model URI, or it lacks what it needs
    |- ModelUnavailable    the endpoint does not answer, refuses us, or keeps failing
    |- ModelReplyInvalid   no valid reply after all retries; carries the last text
    |- ConversationBroken  the group chat itself failed
    |- NotConfirmable      no claim can be asked of this experiment, or not on this metric's noise
    '- BudgetSpent         a limit of the brief is reached

Every message is one sentence that says what to do.
"""

from __future__ import annotations


class AgentError(Exception):
    """The agents cannot go on; the root of this room's errors."""


class BadModel(AgentError):
    """The model cannot be used."""


class ModelUnavailable(AgentError):
    """The model does not answer."""


class ModelReplyInvalid(AgentError):
    """The model answered, and never in the requested form."""

    def __init__(self, message: str, text: str = "", *, prompt_tokens: int = 0, completion_tokens: int = 0) -> None:
        super().__init__(message)
        self.text = text
        self.prompt_tokens = prompt_tokens  # of all attempts: they were paid for
        self.completion_tokens = completion_tokens


class ConversationBroken(AgentError):
    """The group chat failed."""


class NotConfirmable(AgentError):
    """No claim can be asked."""


class BudgetSpent(AgentError):
    """Nothing more may be spent."""
