"""The agents: five roles, their conversation, the cycle of one experiment, the campaign, and model clients."""
