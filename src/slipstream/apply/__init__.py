"""
The only writer of the index: prepare, embed, fence, write.

Holds the reconciler, and the one durable step a batch is written in. May touch: domain, ports, recipes.
"""
