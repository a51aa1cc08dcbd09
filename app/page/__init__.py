"""The page: NiceGUI over the same views as terminal and report. `move37 serve` starts it.

Read `server.py` (what is served), `access.py` (who gets in), `hub.py` (one reader of the archive for all viewers),
`frame.py` (what stands around every page), then the pages: `now.py`, `results.py`, `experiments.py`, `knowledge.py`,
`begin.py`. A campaign always runs in a process of its own: the page reads its archive and speaks to it through
`lab/archive/controls.py`, so that closing the page ends nothing. Needs the extra `page`; nothing here is imported at
start-up.
"""
