"""Which endpoint answers, and that somebody does. Knows nothing of Gradio."""
