# The control plane. It talks to the container engine over the socket it is given and runs no function itself.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
# Compiles init for the process engine, as Dockerfile.centos7 does for instances.
ARG BUILD_IMAGE=alpine:3.20

FROM ${BUILD_IMAGE} AS init
COPY init .cache/init/program-* /init/
RUN set -eu; \
    mkdir /.scf; \
    compiled=/init/program-$(cat /init/*.c /init/*.h /init/build | sha256sum | cut -c1-16); \
    if [ -f "$compiled" ]; then \
      cp "$compiled" /.scf/init; \
    else \
      command -v gcc >/dev/null || apk add --quiet --no-cache gcc musl-dev; \
      sh /init/build /.scf/init; \
    fi; \
    chmod 0555 /.scf /.scf/init

FROM ${PYTHON_IMAGE} AS dependencies
RUN python3 -m venv /opt/venv
# Wheels fetched on the host (scripts/up does where containers have no way to a package registry); there may be none.
COPY requirements.txt .cache/wheels/*.whl /wheels/
RUN set -e; \
    install="/opt/venv/bin/python -m pip install --quiet --no-cache-dir --no-compile --disable-pip-version-check --no-deps --require-hashes -r /wheels/requirements.txt"; \
    if ls /wheels/*.whl >/dev/null 2>&1 && $install --no-index --find-links /wheels; then exit 0; fi; \
    $install

FROM ${PYTHON_IMAGE}
COPY --from=init /.scf /.scf
COPY --from=dependencies /opt/venv /opt/venv
WORKDIR /srv/scf-sandbox
COPY pyproject.toml ./
COPY sandbox sandbox/
COPY api api/
COPY scf_sandbox scf_sandbox/
# Compiled at build time: the first request should not wait for it.
RUN /opt/venv/bin/python -m compileall -q /opt/venv/lib sandbox api scf_sandbox
LABEL scf-sandbox.image=control
ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONUNBUFFERED=1 \
    SCF_HOST=0.0.0.0 \
    SCF_DATA_DIR=/var/lib/scf-sandbox
EXPOSE 9000
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9000/healthz', timeout=2)"]
CMD ["python", "-m", "api"]
