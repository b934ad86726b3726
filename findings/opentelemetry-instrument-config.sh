#!/bin/sh
# opentelemetry-instrument refuses a command with an option --config, such as gunicorn's, and says that it is its own.
#
# opentelemetry-instrumentation 0.66b2, Python 3.11, 2026-11-30. It has --config_file and --configurator, and takes
# the command as argparse's REMAINDER. But argparse sorts all arguments into options and others before it gives any
# to a positional one, and what abbreviates two options is an error at once, also behind the command: so in all
# Pythons up to 3.13.0. To set its options by variables (OTEL_…) changes nothing; `--` before the command helps.
#
# Output seen:
#   bare: opentelemetry-instrument: error: ambiguous option: --config could match --configurator, --config_file
#   behind --: --config server.toml
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3.11 -m venv venv
venv/bin/pip -q install --disable-pip-version-check \
    opentelemetry-instrumentation==0.66b2 opentelemetry-distro==0.66b2 opentelemetry-sdk==1.45.2
export OTEL_TRACES_EXPORTER=none OTEL_METRICS_EXPORTER=none OTEL_LOGS_EXPORTER=none
printf '#!/bin/sh\necho "$@"\n' > serve
chmod +x serve
{
    echo "bare: $(venv/bin/opentelemetry-instrument ./serve --config server.toml 2>&1 | tail -1)"
    echo "behind --: $(venv/bin/opentelemetry-instrument -- ./serve --config server.toml 2>&1 | tail -1)"
} | tee seen
diff - seen <<'EXPECTED'
bare: opentelemetry-instrument: error: ambiguous option: --config could match --configurator, --config_file
behind --: --config server.toml
EXPECTED
