#!/bin/sh
# What the tests need from the system: a browser, a DICOM validator, a DICOM archive. Installs what is
# missing with apt where it may; elsewhere it says what is missing, and those tests are skipped.
set -eu
missing=""
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need chromium chromium
need dciodvfy dicom3tools
need Orthanc orthanc
[ -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so ] || missing="$missing orthanc-dicomweb"
[ -n "$missing" ] || exit 0
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    # Debian starts Orthanc as a service when it is installed; the tests start their own.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive
    export RUNLEVEL DEBIAN_FRONTEND
    apt-get update -qq
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "Not installed, and the tests that need them are skipped:$missing" >&2
    echo "As root: apt-get install$missing" >&2
fi
