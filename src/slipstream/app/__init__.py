"""
The PKG as users know it: facade, configuration, composition root, other processes, backups.

The faces call this package and nothing else. May touch: everything but faces.
"""
