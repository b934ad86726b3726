"""Tools for agents: the verbs of runs by the Model Context Protocol.

`tools` has what a model reads of them, `calls` what each does, by requests of the HTTP API, so that rights,
masks and the audit are those of every client. `inner` makes these requests within the process, `protocol`
speaks the protocol, by the official SDK: `pip install "runcast[mcp]"`. Nothing is imported here.
"""
