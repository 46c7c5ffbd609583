"""Webhooks: what the API server asks before it stores an object.

`review.py` is pure (an AdmissionReview in, an AdmissionReview out), `json_patch.py` tells two objects apart,
`server.py` is HTTPS around them.
"""
