"""Models beside each other: votes and their ranking, prompt sets, runs, reports.

Knows neither Gradio nor the network: whoever answers comes in as a `domain.ports.ChatGateway`.
"""
