# hilum on a CPU, without torch: predict, check, calibrate, evaluate, report.
# Build:  docker build -t hilum:0.1.0 .
# Needs no network, no privileges and no writable root: see compose.yaml.

FROM python:3.11-slim-bookworm AS build
WORKDIR /build
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY src src
COPY models models
RUN python -m venv /opt/hilum \
    && /opt/hilum/bin/pip install --no-cache-dir --disable-pip-version-check \
        --constraint constraints.txt . \
    && /opt/hilum/bin/pip uninstall --yes pip

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 hilum \
    && useradd --uid 10001 --gid hilum --no-create-home --home-dir /tmp --shell /usr/sbin/nologin hilum \
    && install --directory --owner hilum --group hilum /settings
COPY --from=build /opt/hilum /opt/hilum
# what libraries keep for later goes to /tmp, which may be in memory; our settings to a volume
ENV PATH=/opt/hilum/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    XDG_CONFIG_HOME=/settings \
    MPLCONFIGDIR=/tmp/matplotlib
USER 10001:10001
WORKDIR /data
ENTRYPOINT ["hilum"]
CMD ["--help"]
