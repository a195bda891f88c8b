# The lab in one container, with servers of its own: docker run --rm ghcr.io/…/connection-lab check published_global
# (compose/ has each server in a container of its own.)
FROM ghcr.io/shopify/toxiproxy:2.12.0 AS toxiproxy

FROM python:3.13-slim
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY --from=toxiproxy /toxiproxy /usr/local/bin/toxiproxy-server
ENV LAB_TOXIPROXY=/usr/local/bin/toxiproxy-server LAB_STORE=/store
WORKDIR /src
# The packages first: they change less often than the lab.
COPY requirements.txt ./
RUN pip install --require-hashes -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY lab lab
COPY faults faults
COPY backend_under_test backend_under_test
COPY connection_lab connection_lab
RUN pip install --no-deps --no-build-isolation . && rm -rf build ./*.egg-info
# PostgreSQL does not run as root.
RUN useradd --create-home --uid 1000 lab && mkdir /store /work && chown lab /store /work
USER 1000
# The template of the servers is made once, here.
RUN lab doctor
WORKDIR /work
VOLUME /store
ENTRYPOINT ["lab"]
CMD ["--help"]
