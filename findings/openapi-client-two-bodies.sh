#!/usr/bin/env bash
# openapi-python-client 0.29.1, Python 3.11: what it generates for an operation whose body may have one of two
# content types cannot be imported, unless the operation has an optional parameter besides.
#
# Expected: a generator that ends with exit code 0 and without a warning has made modules that can be imported.
# Seen: `body: A | B | Unset = UNSET`, and of the two names of the types module only UNSET is imported:
# NameError: name 'Unset' is not defined. One content type alone is fine, and so is one optional header,
# for which both names are imported.
# Why it matters: an API that takes JSON or a form at one address, as this one does. The description of ours
# names the optional header that it has anyway, and a test imports and uses what is generated from it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install -q --disable-pip-version-check openapi-python-client==0.29.1 2> /dev/null
echo "post_hooks: []" > settings.yml

# Arguments: a name, the second content type of the body ("" for none), the parameters.
generated() {
    local second=""
    [ -z "$2" ] || second=", \"$2\": {\"schema\": {\"type\": \"object\", \"properties\": {\"b\": {\"type\": \"string\"}}}}"
    cat > "$1.json" << JSON
{"openapi": "3.1.0", "info": {"title": "$1", "version": "1"}, "paths": {"/things": {"post": {
  "tags": ["things"], "operationId": "make", "parameters": [$3],
  "requestBody": {"required": true, "content": {
    "application/json": {"schema": {"type": "object", "properties": {"a": {"type": "string"}}}}$second}},
  "responses": {"204": {"description": "made"}}}}}}
JSON
    env/bin/openapi-python-client generate --path "$1.json" --output-path "$1" --meta none --config settings.yml \
        > "$1.log" 2>&1 || { echo "FAILED: the generator ended with $?"; exit 1; }
    if grep -qi warning "$1.log"; then echo "FAILED: it warned"; exit 1; fi
    env/bin/python -c "import $1.api.things.make" 2>&1 | tail -n 1
}

expect() {
    [ "$2" = "$3" ] || { echo "CHANGED: $1: expected '$3', got '$2'"; exit 1; }
    echo "$1: ${2:-imported}"
}

expect "one content type" "$(generated one "" "")" ""
expect "two content types" "$(generated two "application/x-www-form-urlencoded" "")" \
    "NameError: name 'Unset' is not defined. Did you mean: 'UNSET'?"
expect "two, and an optional header" "$(generated header "application/x-www-form-urlencoded" \
    '{"name": "X-One", "in": "header", "schema": {"type": "string"}}')" ""
