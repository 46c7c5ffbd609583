"""Recording and alerting rules: read, evaluated in groups, told to Alertmanagers.

rule files ──▶ definitions ──▶ manager ──▶ recorded series, ALERTS, ALERTS_FOR_STATE ──▶ store
                                  └──▶ alerts (pending → firing → inactive) ──▶ notify ──▶ POST /api/v2/alerts
"""
