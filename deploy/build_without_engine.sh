#!/bin/sh
# The Dockerfile's image where there is no engine: builds it, unpacks it, starts it on a read-only
# root and tries it. For Debian, as root; docs/deployment.md has what it takes.
#
#   deploy/build_without_engine.sh [folder]     in build/image by default
#
# No registry is asked: under the base image's name stands a Debian with its own Python.
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

stored() {  # a program of theirs, with a store of our own
  program=$1
  shift
  "$program" --root "$work/store" --runroot "$work/run" --storage-driver vfs "$@"
}

if ! stored buildah inspect --type image "docker.io/library/$base" >/dev/null 2>&1; then
  echo "Making the base, $base"
  rm -rf "$work/base"
  debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv trixie "$work/base"
  ln -s python3 "$work/base/usr/bin/python"
  # Whom this machine trusts, its company's proxy perhaps, is trusted while building too.
  cp /etc/ssl/certs/ca-certificates.crt "$work/base/etc/ssl/certs/"
  tar -C "$work/base" -c . | stored podman import - "docker.io/library/$base"
  rm -rf "$work/base"
fi

echo "Building"
stored buildah bud --pull-never --isolation chroot --network host --format docker \
  --layers=false --tag akash-gradio .
container=$(stored buildah from --pull-never akash-gradio)
root=$(stored buildah mount "$container")
stored buildah inspect --type image --format \
  '{{range .OCIv1.Config.Env}}{{println .}}{{end}}' akash-gradio >"$work/env"
install -d -o 1000 -g 1000 "$work/data"
du -sm "$root" | sed 's/\t.*/ MB unpacked/'

echo "Trying it"
python3 deploy/try_image.py sh deploy/start_unpacked.sh "$root" "$work/data" "$work/env"
stored buildah rm "$container" >/dev/null
