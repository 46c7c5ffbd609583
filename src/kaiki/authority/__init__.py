"""The certificate authority: who may call itself what.

`issue.py` is pure (keys, serial numbers and the time are its arguments), `version.py` tells from a version alone
whether a certificate is still good, `authority.py` holds the root and issues, `storage.py` keeps the root in a Secret.
"""
