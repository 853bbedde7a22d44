# mite in a container:   docker build -t mite . && docker run --rm -it mite sh
# BASE is any Debian 12, such as one of debootstrap's making.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
COPY scripts/install-deps /src/scripts/
RUN apt-get update && /src/scripts/install-deps build
COPY . /src
RUN make -C /src install DESTDIR=/out MESON_ARGS=-Dstrip=true

FROM ${BASE}
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates libbrotli1 libcurl4 libmicrohttpd12 libmsgpackc2 libnng1 libpsl5 libpython3.11 libuv1 libzmq5 \
        libzstd1 python3 python3-msgpack python3-uvloop \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* \
 && useradd --uid 1000 --home-dir /mite --create-home --shell /bin/sh mite
COPY --from=build /out/ /
USER mite
WORKDIR /mite
CMD ["mite", "help"]
