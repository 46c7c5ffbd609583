"""ADS: what every proxy should have, brought to it change by change.

    snapshot ─▶ configs.py (one per class) ─▶ stream.py (pure: what to send next) ─▶ wire.py ─▶ server.py (gRPC)

`stream.py` decides everything and knows neither sockets nor clocks; `session.py` binds one stream to one proxy, its
secrets and its configuration; `server.py` moves bytes.
"""
