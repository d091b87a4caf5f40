"""A notebook: `launch` returns, shows the page below the cell, and can be launched again."""

from __future__ import annotations

from typing import Any

import nbformat
from nbclient import NotebookClient

CELLS = (
    "import json\n"
    "from urllib.request import Request, urlopen\n"
    "import akash_gradio as ag\n"
    "def reply(messages):\n"
    "    yield 'Hello'\n"
    "    yield ' from a cell'",
    "app = ag.launch(reply)",
    "body = {'model': 'reply', 'messages': [{'role': 'user', 'content': 'Hi'}]}\n"
    "def ask():\n"
    "    request = Request(f'{app.url}/v1/chat/completions', json.dumps(body).encode(),\n"
    "                      {'content-type': 'application/json'})\n"
    "    return json.load(urlopen(request))['choices'][0]['message']['content']\n"
    "ask()",
    "app.close()\napp.launch()\nask()",
    "async with ag.open_gateway(reply) as gateway:\n"
    "    names = [endpoint.alias for endpoint in gateway.endpoints()]\n"
    "names",
)


def test_a_notebook_shows_the_page_and_goes_on() -> None:
    v4: Any = nbformat.v4
    notebook = v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in CELLS])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = [cell.outputs for cell in notebook.cells]
    shown = [o.data.get("text/html", "") for o in outputs[1] if "data" in o]
    assert any("<iframe" in html and "http://127.0.0.1:" in html for html in shown)
    for cell in (2, 3):
        assert outputs[cell][-1].data["text/plain"] == "'Hello from a cell'"
    assert outputs[4][-1].data["text/plain"] == "['reply']"
