"""
Bridges to what people use already; each needs its own extra, and nothing else imports them.

They use the facade of an open or connected PKG, and know nothing of what is behind it.
"""
