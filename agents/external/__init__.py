"""Roles that an external agent fills (`--model seat`): a coding agent, a program or a user answers for a role.

`turns` holds the turns that wait for an answer; `scientist` fills roles with it; `turn_files` exchanges turns and
answers as files of the home, for `move37 answer`. The tools that a coding agent calls stand in app/mcp.
"""
