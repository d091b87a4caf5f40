"""Model comparison: lanes, prompt sets and their runs, reports, votes and the ranking.

Start reading at `plan.py` (what a run consists of) and `runner.py` (how it is executed);
`lanes.py` runs the page's side-by-side chats. May import `domain`, `config` and `formatting`:
models are called through `domain.ports.ChatGateway`, never over the network.
"""
