# Two steps: the first builds an environment from the locks, the second carries only that.
# With AWS KMS as the key provider: docker build --build-arg LOCK=aws
FROM python:3.11-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
ARG LOCK=run
WORKDIR /src

COPY requirements/build.txt requirements/${LOCK}.txt requirements/
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes -r requirements/build.txt \
    && python -m venv /opt/dispatcher \
    && /opt/dispatcher/bin/pip install --require-hashes -r requirements/${LOCK}.txt

COPY pyproject.toml README.md LICENSE ./
COPY migrations migrations
COPY dispatcher dispatcher
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/dispatcher/bin/pip install --no-deps --no-index /wheels/*.whl \
    && /opt/dispatcher/bin/python -m compileall -q /opt/dispatcher/lib


FROM python:3.11-slim

ENV PATH=/opt/dispatcher/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
RUN groupadd --gid 10001 dispatcher \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin dispatcher \
    && install --directory --owner 10001 --group 10001 --mode 0750 /var/lib/dispatcher

COPY --from=build /opt/dispatcher /opt/dispatcher

USER 10001:10001
WORKDIR /var/lib/dispatcher
EXPOSE 8080 9464
STOPSIGNAL SIGTERM
ENTRYPOINT ["dispatcher"]
CMD ["--help"]
