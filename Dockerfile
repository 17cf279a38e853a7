# syntax=docker/dockerfile:1
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/target \
    CARGO_TARGET_DIR=/target cargo build --locked --release --bin plumbline && cp /target/release/plumbline /plumbline

FROM debian:bookworm-slim
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates curl && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/plumbline --create-home plumbline
COPY --from=build /plumbline /usr/local/bin/plumbline
USER plumbline
WORKDIR /var/lib/plumbline
# A container serves its whole network, and keeps recordings in the volume unless a bucket is named.
ENV PLUMBLINE_SERVER__BIND=0.0.0.0:8080 PLUMBLINE_OBJECTS__DIRECTORY=/var/lib/plumbline/objects PLUMBLINE_LOG__FORMAT=json
RUN mkdir objects
VOLUME /var/lib/plumbline
EXPOSE 8080
ENTRYPOINT ["plumbline"]
CMD ["serve"]
