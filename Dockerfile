# The image of all processes, for those with Docker; `make image` makes the same one without. Both take their files from
# cmd/image, and a test compares the rest.
#   docker buildx build --platform linux/amd64,linux/arm64 -t sidegate:0.1.0 .

# Always on the builder's own architecture: what is built is JavaScript, and what is fetched is fetched for the target's.
FROM --platform=$BUILDPLATFORM node:26.10.0-bookworm-slim AS build
ARG TARGETARCH
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci
COPY . .
RUN node cmd/image/main.ts --architecture "$TARGETARCH" --root /root-file-system

# Nothing but what runs: no shell, no package manager.
FROM scratch
COPY --from=build /root-file-system /
ENV PATH=/usr/sbin:/usr/bin
WORKDIR /
USER 61337:61337
ENTRYPOINT ["/usr/bin/node", "/app/main.js"]
