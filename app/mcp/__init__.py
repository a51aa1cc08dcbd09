"""`move37 mcp`: a coding agent as the scientist, our lab as the judge.

`laboratory` runs the campaign and knows what may be done next; `views` makes compact records of it; `tools` are the
actions, as plain methods; `server` hands them to the MCP SDK, over stdio or HTTP. Nothing here sets a seed, touches a
metric or shows deciding text: tools answer turns of the ordinary campaign (agents/external) and read the archive.
"""
