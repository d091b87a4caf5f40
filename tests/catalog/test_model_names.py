from __future__ import annotations

import pytest

from akash_gradio.catalog.model_names import model_size, readable_name


@pytest.mark.parametrize(
    ("model_id", "name", "size"),
    [
        ("meta-llama/Llama-3.3-70B-Instruct", "Llama 3.3 70B Instruct", "70B"),
        (
            "Qwen/Qwen3-235B-A22B-Instruct-2507",
            "Qwen3 235B A22B Instruct 2507",
            "235B (22B active)",
        ),
        ("meta-llama/Llama-4-Scout-17B-16E", "Llama 4 Scout 17B 16E", "17B-16E"),
        ("mistralai/Mixtral-8x7B-v0.1", "Mixtral 8x7B V0.1", "8x7B"),
        ("smollm2-135m-instruct", "Smollm2 135M Instruct", "135M"),
        ("gpt-oss-120b", "GPT OSS 120B", "120B"),
        ("llama3:70b", "Llama3 70B", "70B"),
        ("moonshotai/Kimi-K2.5", "Kimi K2.5", ""),
        ("models/qwen2.5-0.5b.gguf", "Qwen2.5 0.5B", "0.5B"),
        ("a4b", "A4B", ""),
        ("/", "/", ""),
        ("日本-7b", "日本 7B", "7B"),
    ],
)
def test_name_and_size_are_derived_from_the_id(model_id: str, name: str, size: str) -> None:
    assert (readable_name(model_id), model_size(model_id)) == (name, size)
