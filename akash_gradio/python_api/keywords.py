"""The settings as keyword arguments. Written by `make docs`, see config/docs.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypedDict


class SettingsKeywords(TypedDict, total=False):
    """Every setting, with the meaning and the default of its environment variable."""

    allowed_origins: str | Sequence[str] | None
    """`ALLOWED_ORIGINS`: Other origins that may send requests: a comma-separated list of
    `https://host`. Behind a proxy that changes the `Host` header, include the page's own origin.
    """
    allowed_hosts: str | Sequence[str] | None
    """`ALLOWED_HOSTS`: Public host names of the page: a comma-separated list, in which
    `*.example.com` stands for its subdomains and `*` for any host. Requests for other names get
    421. Not needed for IP addresses and local names, on a Space, nor behind `ACCESS_TOKEN`,
    sign-in or `TRUSTED_PROXIES`, where the default is any host (docs/deployment.md).
    """
    frame_ancestors: str | Sequence[str] | None
    """`FRAME_ANCESTORS`: Origins that may embed the page in a frame: a comma-separated list of
    `https://host`.
    """
    trusted_proxies: int | None
    """`TRUSTED_PROXIES`: Number of reverse proxies in front that append to `X-Forwarded-For`. With
    `0` the header is ignored.
    """
    access_token: str | None
    """`ACCESS_TOKEN`: Token that visitors must enter to see the page."""
    admin_password: str | None
    """`ADMIN_PASSWORD`: Password for the pages that only the operator may use. Sign in at
    `page/sign-in?as=host`.
    """
    sign_in: str | None
    """`SIGN_IN`: `huggingface`: visitors sign in with their Hugging Face account. `off` is the
    default, unless `ALLOWED_USERS` or `ALLOWED_ORGS` is set.
    """
    allowed_users: str | Sequence[str] | None
    """`ALLOWED_USERS`: Hugging Face users who may sign in: a comma-separated list. By default, all
    may sign in.
    """
    allowed_orgs: str | Sequence[str] | None
    """`ALLOWED_ORGS`: Hugging Face organizations whose members may sign in: a comma-separated list.
    """
    oauth_client_id: str | None
    """`OAUTH_CLIENT_ID`: Client id of the OAuth app for signing in. A Space sets this and the next
    three variables itself.
    """
    oauth_client_secret: str | None
    """`OAUTH_CLIENT_SECRET`: Client secret of the OAuth app, if it has one."""
    openid_provider_url: str | None
    """`OPENID_PROVIDER_URL`: OpenID provider that visitors sign in with."""
    session_secret: str | None
    """`SESSION_SECRET`: Secret that signs the cookies. Without it, one is created in `DATA_DIR`, if
    that is set; otherwise sessions end with the process. Replicas need the same value, or
    `REDIS_URL`.
    """
    visitor_messages_per_minute: int | None
    """`VISITOR_MESSAGES_PER_MINUTE`: Messages per visitor in any 60 seconds."""
    visitor_tokens_per_day: int | None
    """`VISITOR_TOKENS_PER_DAY`: Input and output tokens per visitor and day (UTC)."""
    requests_at_once: int | None
    """`REQUESTS_AT_ONCE`: Answers that are generated at the same time. Further requests wait in a
    queue, and visitors see their position.
    """
    queue_length: int | None
    """`QUEUE_LENGTH`: Requests that may wait in the queue. Further ones are rejected."""
    tokens_per_day: int | None
    """`TOKENS_PER_DAY`: Tokens of all visitors together per day (UTC)."""
    cost_per_day: float | None
    """`COST_PER_DAY`: US dollars of all visitors together per day (UTC), at the catalog's prices.
    Models without prices are refused.
    """
    allowed_models: str | Sequence[str] | None
    """`ALLOWED_MODELS`: The only models that may be used: a comma-separated list of ids."""
    parameter_ranges: Mapping[str, Sequence[float]] | None
    """`PARAMETER_RANGES`: Ranges that visitors may choose from, as JSON:
    `{'temperature':[0,1],'max_tokens':[1,1024]}`. The upper bound of `max_tokens` is sent if a
    visitor sets none.
    """
    longest_message: int | None
    """`LONGEST_MESSAGE`: Maximum length of a message or of the system prompt, in characters."""
    longest_request: int | None
    """`LONGEST_REQUEST`: Maximum length of a whole request, in characters: system prompt, history,
    attachments and tools. Ten times `LONGEST_MESSAGE` if only that is set.
    """
    default_max_tokens: int | None
    """`DEFAULT_MAX_TOKENS`: Longest answer where a daily budget is set and neither the visitor,
    `PARAMETER_RANGES` nor the catalog sets `max_tokens`. It is reserved before the request is
    sent.
    """
    own_keys: Literal["off", "keys", "endpoints"] | None
    """`OWN_KEYS`: Whether visitors may use API keys of their own, stored in their browser tab only:
    `off`, `keys` (for the configured endpoints) or `endpoints` (for any public endpoint too).
    """
    redis_url: str | None
    """`REDIS_URL`: Redis 6 or later, `redis://host:6379/0`, through which replicas share limits,
    budgets, sessions and endpoint health. Needs the extra `redis`.
    """
    hf_token: str | None
    """`HF_TOKEN`: On a Space without `ENDPOINTS`: token for Hugging Face Inference Providers, which
    become the endpoint.
    """
    default_model: str | None
    """`DEFAULT_MODEL`: Model that is selected when the page opens. With `API_ENDPOINT` also the
    only model that it serves; by default its models are discovered.
    """
    fallback_model: str | Sequence[str] | None
    """`FALLBACK_MODEL`: Model that answers when every endpoint of the requested model fails: an id,
    or a comma-separated list.
    """
    retry_attempts: int | None
    """`RETRY_ATTEMPTS`: Attempts of a request after its first one, at other endpoints or again at
    the same.
    """
    retry_delay: int | None
    """`RETRY_DELAY`: Milliseconds to wait before all endpoints are tried again; doubled each time.
    """
    connect_timeout: float | None
    """`CONNECT_TIMEOUT`: Maximum seconds to connect to an endpoint."""
    first_token_timeout: float | None
    """`FIRST_TOKEN_TIMEOUT`: Maximum seconds until the first token."""
    idle_timeout: float | None
    """`IDLE_TIMEOUT`: Maximum seconds between two tokens."""
    request_timeout: float | None
    """`REQUEST_TIMEOUT`: Maximum seconds of a request, from its arrival to the end of its answer,
    with all its attempts and pauses.
    """
    routing: Literal["weighted", "least_busy"] | None
    """`ROUTING`: How requests are distributed: `weighted` or `least_busy` (docs/routing.md)."""
    discovery_interval: float | None
    """`DISCOVERY_INTERVAL`: Seconds between two requests for the model list of an endpoint that is
    configured without `models`.
    """
    health_probe: Literal["off", "models", "token"] | None
    """`HEALTH_PROBE`: How endpoints without traffic for five minutes are probed: `off`, `models`
    (requests the model list) or `token` (requests one token).
    """
    gateway_api_keys: str | None
    """`GATEWAY_API_KEYS`: API keys of the clients of `/v1`: a comma-separated list, or JSON:
    `[{'name':'ann','key':'…','models':['id'],'limits':{'requestsPerMinute':60}}]`. The other
    limits are `tokensPerDay` and `costPerDay`. Without keys, only requests from this machine are
    accepted, and none once anything shows that the server is protected or published
    (docs/deployment.md).
    """
    proxy_api_key: str | None
    """`PROXY_API_KEY`: Another API key for `/v1`, for deployments that already set this variable.
    """
    debug: bool | None
    """`DEBUG`: `true` logs connections, routing and parsing; never keys or prompts."""
    catalog_file: str | Path | None
    """`CATALOG_FILE`: Catalog (TOML or JSON) that replaces the built-in one."""
    models_file: str | Path | None
    """`MODELS_FILE`: Python file whose functions answer, beside the other endpoints
    (docs/python.md).
    """
    embedded: Literal["auto", "on", "off"] | None
    """`EMBEDDED`: The small demo model on this machine: `auto` (runs if no endpoint is configured),
    `on` or `off`.
    """
    embedded_model: str | None
    """`EMBEDDED_MODEL`: Other weights for the demo model: the path of a `.gguf` file, or
    `hf:org/repo/file.gguf`.
    """
    cache_dir: str | Path | None
    """`CACHE_DIR`: Folder for downloaded weights and generated thumbnails."""
    data_dir: str | Path | None
    """`DATA_DIR`: Folder for votes and prompt-set runs. Without it, votes stay in each browser and
    runs end with the server.
    """
    run_storage_mb: int | None
    """`RUN_STORAGE_MB`: Disk space for prompt-set runs. A network gets at most a quarter of it, a
    visitor an eighth and a run a 32nd; a run that doesn't fit is rejected.
    """
    run_retention_days: int | None
    """`RUN_RETENTION_DAYS`: Days after which a prompt-set run is deleted, counted from its last
    change.
    """
    database_url: str | None
    """`DATABASE_URL`: PostgreSQL database for the votes: `postgresql://user:password@host/name`.
    Needs the extra `postgres`.
    """
    server_name: str | None
    """`GRADIO_SERVER_NAME`: Address to listen on; `0.0.0.0` for all interfaces."""
    server_port: int | None
    """`GRADIO_SERVER_PORT`: Port to listen on. `PORT` is read too."""
    root_path: str | None
    """`GRADIO_ROOT_PATH`: Path below which a reverse proxy serves the page, for example `/chat`
    (docs/deployment.md).
    """
