#!/bin/sh
# Builds the Dockerfile's image without docker or podman, unpacks it, starts it on a read-only root
# and tests it. For Debian, as root; docs/deployment.md lists time and space.
#
#   deploy/build_without_engine.sh [folder]     default: build/image
#
# No registry is used: the base image is replaced by a Debian with its own Python.
set -eu
cd "$(dirname "$0")/.."
mkdir -p "${1:-build/image}"
work=$(realpath "${1:-build/image}")
base=$(sed -n '/^FROM/{s/^FROM \([^ ]*\).*/\1/p;q}' Dockerfile)

missing=""
for program in debootstrap podman buildah; do
  command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
done
if [ -n "$missing" ]; then
  echo "Installing$missing"
  apt-get update -qq
  # shellcheck disable=SC2086 # the list is meant to be split
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
fi

with_store() {  # runs buildah or podman with a store of its own
  program=$1
  shift
  "$program" --root "$work/store" --runroot "$work/run" --storage-driver vfs "$@"
}

if ! with_store buildah inspect --type image "docker.io/library/$base" >/dev/null 2>&1; then
  echo "Creating the base image $base"
  rm -rf "$work/base"
  debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv trixie "$work/base"
  ln -s python3 "$work/base/usr/bin/python"
  # Certificates that this machine trusts, such as a proxy's, are needed for the build too.
  cp /etc/ssl/certs/ca-certificates.crt "$work/base/etc/ssl/certs/"
  tar -C "$work/base" -c . | with_store podman import - "docker.io/library/$base"
  rm -rf "$work/base"
fi

echo "Building"
with_store buildah bud --pull-never --isolation chroot --network host --format docker \
  --layers=false --tag akash-gradio .
container=$(with_store buildah from --pull-never akash-gradio)
root=$(with_store buildah mount "$container")
with_store buildah inspect --type image --format \
  '{{range .OCIv1.Config.Env}}{{println .}}{{end}}' akash-gradio >"$work/env"
install -d -o 1000 -g 1000 "$work/data"
du -sm "$root" | sed 's/\t.*/ MB unpacked/'

echo "Testing the image"
python3 deploy/try_image.py sh deploy/start_unpacked.sh "$root" "$work/data" "$work/env"
with_store buildah rm "$container" >/dev/null
