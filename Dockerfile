# An image of `runcast serve`: it runs as nobody in particular, and writes to its volume alone. `make image` builds and tries it.
ARG PYTHON=docker.io/library/python:3.13-slim

FROM ${PYTHON} AS build
WORKDIR /source
COPY requirements-serve.lock ./
RUN python3 -m venv /opt/runcast && /opt/runcast/bin/pip install --no-cache-dir --require-hashes -r requirements-serve.lock
COPY . ./
RUN /opt/runcast/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM ${PYTHON}
COPY --from=build /opt/runcast /opt/runcast
RUN useradd --uid 10001 --no-create-home --home-dir /var/lib/runcast --shell /bin/sh runs && install -d -o runs -g runs /var/lib/runcast
USER 10001
WORKDIR /var/lib/runcast
ENV PATH=/opt/runcast/bin:$PATH RUNCAST_STORE=/var/lib/runcast/runs
VOLUME /var/lib/runcast
EXPOSE 8765
CMD ["runcast", "serve", "--host", "0.0.0.0"]
