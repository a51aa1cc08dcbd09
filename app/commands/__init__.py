"""One file a command group; each exposes `register(app)`, which `app/cli.py` calls."""
