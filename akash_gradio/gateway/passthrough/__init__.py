"""The /v1 byte path and the HTTP client."""
