#!/usr/bin/env bash
# A real S3 server on loopback for the live tests: a one-node Ceph RGW from Debian's packages, all
# data in memory.
#   ceph-rgw.sh install       installs what it needs (about 40 s), unless it is there already
#   ceph-rgw.sh start [DIR]   starts mon, osd and radosgw (about 15 s); prints KEY=VALUE lines to export
#   ceph-rgw.sh bucket NAME   makes a bucket there, unless it is there already
#   ceph-rgw.sh stop  [DIR]   stops just what it started in DIR
# start creates DIR again; default /tmp/opslog-ceph-rgw. Ports, so that two can run side by side:
# RGW_PORT (7480), MON_PORT (3300), MON_V1_PORT (6789).
#   export $(test/support/ceph-rgw.sh start)
set -Eeuo pipefail

verb=${1:?usage: ceph-rgw.sh install | start [DIR] | bucket NAME | stop [DIR]}
dir=${2:-/tmp/opslog-ceph-rgw} name=${2:-}
port=${RGW_PORT:-7480} mon_port=${MON_PORT:-3300} mon_v1_port=${MON_V1_PORT:-6789}
access_key=test secret_key=testtest
conf=(-c "$dir/ceph.conf")

# Stays the caller's stderr where the output of a step goes to a log.
exec 9>&2
log() { echo "ceph-rgw: $*" >&9; }

install() {
  local tool missing=
  for tool in radosgw radosgw-admin ceph-mon ceph-osd ceph curl; do
    command -v "$tool" >/dev/null || missing=$tool
  done
  [[ -n $missing ]] || return 0
  {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      radosgw ceph-mon ceph-osd ceph-common curl
  } >&2
}

write_conf() {
  cat >"$dir/ceph.conf" <<CONF
[global]
fsid = $1
mon host = [v2:127.0.0.1:$mon_port,v1:127.0.0.1:$mon_v1_port]
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = $dir/keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon max pg per osd = 1000
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 4294967296
run dir = $dir
log file = $dir/log/\$name.log
pid file = $dir/\$name.pid
admin socket = $dir/\$name.asok
mon data = $dir/mon
osd data = $dir/osd0
# Deleted objects above 4 MB are freed by a collector, by default two hours later: a few runs of the
# tests would fill the memory, and a full server hangs instead of failing.
rgw gc obj min wait = 5
rgw gc processor period = 5
rgw gc processor max time = 5
# Without tcp_nodelay every answer takes 40 ms longer.
rgw frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1
rgw data = $dir/rgw
[osd]
keyring = $dir/osd0/keyring
CONF
}

start_mon() {
  ceph-authtool -C "$dir/keyring" --gen-key -n mon. --cap mon 'allow *'
  ceph-authtool "$dir/keyring" --gen-key -n client.admin \
    --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
  monmaptool --create --fsid "$1" \
    --addv a "[v2:127.0.0.1:$mon_port,v1:127.0.0.1:$mon_v1_port]" "$dir/monmap"
  ceph-mon "${conf[@]}" --mkfs -i a --monmap "$dir/monmap" \
    --mon-data "$dir/mon" --keyring "$dir/keyring"
  ceph-mon "${conf[@]}" -i a --mon-data "$dir/mon" 9>&-
}

start_osd() {
  local uuid=$1 key
  key=$(ceph-authtool --gen-print-key)
  ceph-authtool -C "$dir/osd0/keyring" -n osd.0 --add-key "$key"
  timeout 60 ceph "${conf[@]}" osd new "$uuid" -i - <<<"{\"cephx_secret\": \"$key\"}"
  ceph-osd "${conf[@]}" -i 0 --mkfs --osd-uuid "$uuid" --osd-data "$dir/osd0"
  ceph-osd "${conf[@]}" -i 0 --osd-data "$dir/osd0" 9>&-
}

start_rgw() {
  timeout 60 ceph "${conf[@]}" auth get-or-create client.rgw mon 'allow rw' osd 'allow rwx' \
    >>"$dir/keyring"
  radosgw "${conf[@]}" -n client.rgw 9>&-
  local tries
  for tries in $(seq 300); do
    if curl -sf -o /dev/null "http://127.0.0.1:$port/"; then break; fi
    if ((tries == 300)); then log "no answer on port $port after 60 s"; return 1; fi
    sleep 0.2
  done
  timeout 60 radosgw-admin "${conf[@]}" user create --uid=test --display-name=test \
    --access-key="$access_key" --secret="$secret_key" >"$dir/log/user.log"
}

start() {
  local used
  for used in "$port" "$mon_port" "$mon_v1_port"; do
    if (exec 3<>"/dev/tcp/127.0.0.1/$used") 2>/dev/null && ! [[ -f $dir/ceph.conf ]]; then
      log "port $used is taken; set RGW_PORT, MON_PORT, MON_V1_PORT"
      exit 1
    fi
  done
  stop
  rm -rf "$dir"
  mkdir -p "$dir"/{mon,osd0,rgw,log}
  local fsid
  fsid=$(</proc/sys/kernel/random/uuid)
  trap 'fail' ERR
  write_conf "$fsid"
  { start_mon "$fsid"; start_osd "$(</proc/sys/kernel/random/uuid)"; start_rgw; } \
    >"$dir/log/start.log" 2>&1
  trap - ERR
  echo "OPSLOG_TEST_S3_ENDPOINT=http://127.0.0.1:$port"
  echo "AWS_ACCESS_KEY_ID=$access_key"
  echo "AWS_SECRET_ACCESS_KEY=$secret_key"
  echo "AWS_REGION=us-east-1"
}

fail() {
  trap - ERR
  log "did not come up; the ends of its logs:"
  local file
  for file in "$dir"/log/*.log; do
    log "--- $file"
    tail -n 15 "$file" >&9
  done
  stop
  exit 1
}

# Here the second argument is no directory.
bucket() {
  # The SHA-256 of nothing, which curl leaves out of a request without a body.
  local nothing=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
  curl --silent --show-error --fail-with-body --aws-sigv4 aws:amz:us-east-1:s3 \
    --user "$access_key:$secret_key" --header "x-amz-content-sha256: $nothing" \
    --request PUT "http://127.0.0.1:$port/${name:?name of a bucket}"
}

# Only processes whose pid file lies in DIR, and only while they still are what wrote it.
stop() {
  local file pid
  local -a pids=()
  for file in "$dir"/*.pid; do
    [[ -f $file ]] || continue
    pid=$(<"$file")
    [[ -r /proc/$pid/cmdline ]] || continue
    if tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF "$dir/ceph.conf"; then
      if kill "$pid" 2>/dev/null; then pids+=("$pid"); fi
    fi
  done
  local tries
  for tries in $(seq 50); do
    if ((${#pids[@]} == 0)); then return 0; fi
    local -a alive=()
    for pid in "${pids[@]}"; do
      if kill -0 "$pid" 2>/dev/null; then alive+=("$pid"); fi
    done
    pids=("${alive[@]}")
    sleep 0.2
  done
  for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
}

case $verb in
  install | start | bucket | stop) "$verb" ;;
  *) log "unknown verb '$verb': install, start, bucket or stop"; exit 2 ;;
esac
