"""The small model that runs on this machine when no endpoint is configured.

Start with `supervisor.EmbeddedEndpoint`: it downloads the weights (`weights`), runs llama.cpp's
server in a child process (`child`, `server`) and restarts it after a crash. May import `config`
and `domain`; the gateway uses it as it uses any other endpoint.
"""
