"""
The PKG as users know it: facade, configuration, composition root, other processes, backups.

The only thing that the faces call. May touch: everything but faces.
"""
