"""`designer`: an evolutionary search over a typed grammar of mixers, as a model client. No language model is in it."""
