"""View models: records -> what a user is shown, the same for terminal, HTML, Markdown, JSON and page. Typed, pure.

Read `campaign.py` (everything gathered once from the archive), then `leaderboard.py`, `experiment.py`, `lineage.py`,
`search.py` and `curves.py` (what is told), `numbers.py` and `words.py` (how it is said), `charts/` (Plotly),
`rows.py` (JSON, CSV) and `code.py` (source as HTML). Text in a view is foreign as it came; whoever draws it passes it
through `app/text.py`.
"""
