"""Prometheus remote write (version 1: protobuf in snappy), in and out.

others ──POST /api/v1/write──▶ receiver ──▶ store ──commit──▶ sender ──POST──▶ others
"""
