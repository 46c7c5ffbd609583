"""The Prometheus HTTP API over the store: parameters in, JSON out, errors with Prometheus' `errorType`."""
