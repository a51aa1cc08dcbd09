"""`designer`: an evolutionary search over a typed grammar of mixers, as five agents of a group chat. No language model.

Read agent.py first (how it takes part in a conversation), then view.py (what a role has heard) and the roles:
researcher.py, critic.py, engineer.py (Engineer and Debugger), analyst.py; for programs, program.py. The parts: grammar
and size (what a mixer may be), operators and evolution (how one becomes another), codegen and fragments (its source),
catalogue and preferences (words for operators), program_edits.
"""

from __future__ import annotations

from move37.agents.search.codegen import operators_of

__all__ = ["operators_of"]
