"""
Which record, model and generation is in force: declared, compared, routed.

Holds views joined with their models, the live recipe and the one beside it. May touch: domain, views,
ports, embedding.
"""
