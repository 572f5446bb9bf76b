# The gateway in an image without a shell, as a user without rights.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# DuckDB is linked statically; libc and libstdc++ come from the base image.
RUN go build -trimpath -ldflags "-s -w" -o /out/headlessly ./cmd/headlessly && mkdir -p /out/data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/headlessly /usr/local/bin/headlessly
COPY --from=build --chown=nonroot:nonroot /out/data /data
USER nonroot
EXPOSE 8080 8081
VOLUME /data
ENTRYPOINT ["/usr/local/bin/headlessly"]
# The control plane stays on loopback inside the container unless --control says otherwise.
CMD ["serve", "--data", "/data"]
