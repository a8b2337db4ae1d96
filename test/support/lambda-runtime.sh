#!/usr/bin/env bash
# AWS's own runtime interface client (aws-lambda-ric) and the Node binaries it runs under, for the
# tests of the bundled functions; versions are pinned here.
#   lambda-runtime.sh tools        installs what compiling the client needs, by apt-get as root
#   lambda-runtime.sh install      installs both (about 2 min), unless they are there
#   lambda-runtime.sh node MAJOR   installs one Node (20, 22, 24) and prints where its binary is
# They lie in LAMBDA_RUNTIME_DIR, by default node_modules/.cache/lambda-runtime.
set -euo pipefail
cd "$(dirname "$0")/../.."

client=4.0.2
declare -A nodes=([20]=20.20.2 [22]=22.23.3 [24]=24.21.0)
packages=(cmake g++ make python3 xz-utils)
dir=${LAMBDA_RUNTIME_DIR:-node_modules/.cache/lambda-runtime}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

log() { echo "lambda-runtime: $*" >&2; }

missing() {
  local tool
  for tool in cmake g++ make python3 xz; do command -v "$tool" >/dev/null || echo "$tool"; done
}

tools() {
  [[ -n $(missing) ]] || return 0
  {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
  } >&2
}

# Beside its place until it is complete, so that an install that was cut off is none.
fetch() {
  local home=$1 package=$2
  rm -rf "$home" "$home.new"
  mkdir "$home.new"
  echo '{ "private": true, "allowScripts": { "node": true, "aws-lambda-ric": true } }' \
    >"$home.new/package.json"
  npm install --no-package-lock --prefix "$home.new" "$package" >"$home.log" 2>&1 || {
    log "cannot install $package; the end of $home.log:"
    tail -n 20 "$home.log" >&2
    return 1
  }
}

node() {
  local major=${1:?usage: lambda-runtime.sh node 20|22|24} version home
  version=${nodes[$major]:?"no version of Node $major is pinned in lambda-runtime.sh"}
  home=$dir/node-$version
  if [[ $("$home/node_modules/.bin/node" --version 2>/dev/null) != "v$version" ]]; then
    log "installing Node $version"
    fetch "$home" "node@$version"
    mv "$home.new" "$home"
    ln -sfn "node-$version" "$dir/node-$major"
  fi
  echo "$home/node_modules/.bin/node"
}

install() {
  local home=$dir/client-$client binary
  node 22 >/dev/null
  binary=$(node 24)
  ln -sfn "client-$client" "$dir/client"
  [[ ! -e $home ]] || return 0
  if [[ -n $(missing) ]]; then
    log "the runtime interface client is compiled, and there is no $(missing | xargs)"
    log "install them: bash test/support/lambda-runtime.sh tools (Debian or Ubuntu, as root),"
    log "or by hand: ${packages[*]}"
    return 1
  fi
  log "compiling aws-lambda-ric $client (a minute or two)"
  # The headers that came with the binary; node-gyp would download them.
  npm_config_nodedir=$(find "${binary%/.bin/node}/" -path '*/include/node' -type d | head -n 1)
  export npm_config_nodedir=${npm_config_nodedir%/include/node}
  PATH=$(dirname "$binary"):$PATH fetch "$home" "aws-lambda-ric@$client"
  [[ -f $home.new/node_modules/aws-lambda-ric/rapid-client.node ]] || {
    log "aws-lambda-ric was installed, but not compiled; see $home.log"
    return 1
  }
  mv "$home.new" "$home"
}

verb=${1:-}
case $verb in
  tools | install | node) "$@" ;;
  *) log "unknown verb '$verb': tools, install or node"; exit 2 ;;
esac
