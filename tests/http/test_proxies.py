from __future__ import annotations

import pytest

from akash_gradio.http.proxies import EnvironmentProxies

PROXY = "http://proxy.example:3128"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


def proxy_for(url: str, monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return EnvironmentProxies().for_url(url)


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("10.0.0.0/8", "http://10.1.2.3:8000/v1"),
        ("192.168.1.0/24,10.0.0.0/8", "http://10.1.2.3/v1"),
        ("10.1.2.3", "http://10.1.2.3/v1"),
        ("10.1.2.3/8", "http://10.9.9.9/v1"),
        ("fd00::/8", "http://[fd00::5]:8000/v1"),
        ("[fd00::5]", "http://[fd00::5]/v1"),
        ("[fd00::5]:8000", "http://[fd00::5]:8000/v1"),
        ("*.internal", "http://gpu.internal/v1"),
        ("*.Internal", "http://gpu.internal/v1"),
        ("10.0.*", "http://10.0.7.1/v1"),
        ("*.internal:8000", "http://gpu.internal:8000/v1"),
        ("10.0.0.0/8:8000", "http://10.1.2.3:8000/v1"),
        ("example.com", "https://api.example.com/v1"),
        (".example.com", "https://api.example.com/v1"),
        ("example.com:443", "https://example.com/v1"),
        ("example.com:8443", "https://example.com:8443/v1"),
        (" a.example , 10.0.0.0/8 ", "http://10.1.2.3/v1"),
        ("a.example 10.0.0.0/8", "http://10.1.2.3/v1"),
        ("*", "http://anything.example/v1"),
        ("", "http://localhost:8000/v1"),
        ("", "http://127.0.0.2:8000/v1"),
        ("", "http://[::1]:8000/v1"),
    ],
)
def test_no_proxy_is_respected(no_proxy: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"HTTP_PROXY": PROXY, "HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}
    assert proxy_for(url, monkeypatch, **variables) == ""


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("", "http://10.1.2.3/v1"),
        ("10.0.0.0/8", "http://11.1.2.3/v1"),
        ("10.0.0.0/8", "http://ten.example/v1"),
        ("10.0.0.0/8:9000", "http://10.1.2.3:8000/v1"),
        ("*.internal", "http://internal.example/v1"),
        ("*.internal", "http://notinternal/v1"),
        ("*.internal:9000", "http://gpu.internal:8000/v1"),
        ("example.com", "https://notexample.com/v1"),
        ("example.com:9000", "https://example.com/v1"),
        ("10.0.0.0/99,::/x,[,]:1,:,/", "http://10.1.2.3/v1"),
    ],
)
def test_other_hosts_go_through_the_proxy(
    no_proxy: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {"HTTP_PROXY": PROXY, "HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}
    assert proxy_for(url, monkeypatch, **variables) == PROXY


def test_the_proxy_depends_on_the_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    only_https = {"HTTPS_PROXY": "proxy.example:3128"}
    assert proxy_for("https://h.example", monkeypatch, **only_https) == PROXY
    assert proxy_for("http://h.example", monkeypatch, **only_https) == ""
    assert proxy_for("http://h.example", monkeypatch, ALL_PROXY=PROXY) == PROXY
    assert proxy_for("http://h.example", monkeypatch) == ""
