"""local:NAME-or-PATH, a model in a process of ours: llama.cpp through xllamacpp (extra `local`).

`catalogue` knows the models that packages carry and where they lie, `fetch` brings one, `serve` is the process,
`process` starts, watches and restarts it, `client` is the AutoGen client in front of it. Roles that ask one file in
different ways share its process: what they differ in travels with each request.
"""

AT_ONCE = 1  # calls that a process takes side by side (`serve`): its one slot's cache holds the front of all prompts
