"""What a user touches: the `move37` command, the terminal, the reports. The only room that knows all the others.

Read `__main__.py` and `cli.py` first; `settings.py` is the one reader of environment and files, `exits.py` the one
place where errors become exit statuses, `wiring.py` the one place that names concrete rooms.
"""
