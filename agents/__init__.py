"""The society that does the science: roles, their conversation, one cycle, the campaign, model clients."""
