"""A role that is filled from outside: a coding agent, a program or a user answers where a role would.

`desk` is where turns wait for their answers; `scientist` fills roles with it; `mailbox` carries turns and answers
through files of the home, for `--model seat` and `move37 answer`. The tools of a coding agent stand in app/mcp.
"""
