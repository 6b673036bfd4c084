#!/bin/sh
# Run once by InfluxDB's image after its set-up: a user that reads the bucket and can do nothing else.
# Whoever may look at a dashboard may ask its data source anything, also to delete.
set -eu
influx v1 auth create --username grafana --password "$(cat /run/secrets/grafana_influx_password)" \
  --read-bucket "$DOCKER_INFLUXDB_INIT_BUCKET_ID" --org "$DOCKER_INFLUXDB_INIT_ORG" >/dev/null
