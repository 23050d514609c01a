#!/usr/bin/env bash
# Installs the Debian packages that dponnx is built with and checks for the Swift toolchain.
#
# usage: scripts/setup.sh [PACKAGE ...]     the build's packages, and those named here
#
# Installing takes root, or sudo. Packages that are there already are left alone; where nothing is missing nothing is
# run, so that this may precede every build.
set -euo pipefail

# Of libdnnl-dev only the library is used, but its own package is called otherwise in every release of Debian.
packages=(libopenblas-dev libdnnl-dev libprotobuf-c-dev libssl-dev zlib1g-dev pkg-config "$@")
needed_swift=6.2

fail() {
    echo "setup: $*" >&2
    exit 1
}

# pkg-config is a transitional package of pkgconf in newer Debian releases: the tool being there is what counts.
is_installed() {
    if [ "$1" = pkg-config ] && command -v pkg-config > /dev/null; then return 0; fi
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2> /dev/null)" = installed ]
}

check_swift() {
    local where="install it from https://www.swift.org/install/linux/ and put its usr/bin on PATH"
    command -v swift > /dev/null || fail "no Swift toolchain found; dponnx needs Swift $needed_swift or newer: $where"
    local version
    version=$(swift --version 2> /dev/null | sed -nE 's/.*Swift version ([0-9]+(\.[0-9]+)*).*/\1/p' | head -n 1)
    [ -n "$version" ] || fail "'swift --version' does not say a version; the toolchain seems damaged: $where"
    [ "$(printf '%s\n' "$needed_swift" "$version" | sort -V | head -n 1)" = "$needed_swift" ] ||
        fail "Swift $version is too old; dponnx needs $needed_swift or newer: $where"
}

install_missing() {
    local missing=()
    command -v dpkg-query > /dev/null ||
        fail "this is no Debian system; install the equivalents of: ${packages[*]}"
    for package in "${packages[@]}"; do
        is_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo > /dev/null ||
            fail "missing Debian packages; as root, run: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    echo "setup: installing Debian packages: ${missing[*]}" >&2
    "${as_root[@]}" apt-get update -qq || fail "apt-get update failed; check the network and /etc/apt/sources.list"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --quiet --no-install-recommends "${missing[@]}" > /dev/null ||
        fail "apt-get could not install: ${missing[*]}"
}

check_swift
install_missing
