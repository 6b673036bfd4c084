# The service as an image: dependencies by hash, nothing to compile with in the result, no root.
FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
COPY requirements.txt requirements-dev.txt ./
RUN python -m venv /opt/dutyroom && /opt/dutyroom/bin/pip install --require-hashes -r requirements.txt
# The build tool too is the one that the lock file names; it stays in this stage.
RUN python -m venv /opt/build && /opt/build/bin/pip install --require-hashes -r requirements-dev.txt
COPY pyproject.toml README.md LICENSE ./
COPY services services
COPY simulators simulators
COPY device_profiles device_profiles
COPY dashboards dashboards
RUN /opt/build/bin/python -m build --wheel --no-isolation --outdir /wheels \
  && /opt/dutyroom/bin/pip install --no-deps --no-index /wheels/*.whl

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin dutyroom \
  && install -d -o dutyroom -g dutyroom /data /backups /grafana \
  && install -d -m 700 -o dutyroom -g dutyroom /tokens
COPY --from=build /opt/dutyroom /opt/dutyroom
ENV PATH=/opt/dutyroom/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
  DUTYROOM_DATA=/data DUTYROOM_HOST=0.0.0.0 DUTYROOM_PORT=8080
USER dutyroom
VOLUME ["/data", "/backups"]
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["dutyroom"]
CMD ["serve", "--site", "/site"]
