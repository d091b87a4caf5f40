#!/bin/sh
# Installs what the tests need from Debian: Chromium for the browser tests, npm for the
# accessibility rules, a C compiler for the benchmark, libgomp for the embedded model, curl for an
# example of the documents, PostgreSQL for votes, Redis and nginx for replicas, and fonts for the
# screenshots.
set -eu

missing=""
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v cc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
command -v curl >/dev/null 2>&1 || missing="$missing curl"
command -v npm >/dev/null 2>&1 || missing="$missing npm"
ldconfig -p | grep -q 'libgomp\.so\.1' || missing="$missing libgomp1"
set -- /usr/lib/postgresql/*/bin/postgres
[ -x "$1" ] || command -v postgres >/dev/null 2>&1 || missing="$missing postgresql"
command -v redis-server >/dev/null 2>&1 || missing="$missing redis-server"
[ -x /usr/sbin/nginx ] || command -v nginx >/dev/null 2>&1 || missing="$missing nginx-light"
for font in fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji; do
  dpkg -s "$font" >/dev/null 2>&1 || missing="$missing $font"
done
[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null 2>&1; then
  echo "The browser tests need:$missing. Install them with your system's package manager," >&2
  echo "or run the other tests with: make unit" >&2
  exit 1
fi
sudo=""
[ "$(id -u)" -eq 0 ] || sudo="sudo"
echo "Installing$missing"
$sudo apt-get update -qq
# shellcheck disable=SC2086 # the list is meant to be split
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends $missing
