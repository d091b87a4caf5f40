"""The HTTP API of the page: routes, request schemas, views and templates."""
