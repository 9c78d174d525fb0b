"""The process that the demo kills: commits edits as fast as it can and acknowledges each on standard output."""

from __future__ import annotations

import os
import sys

from slipstream.app.composition import open_pkg
from slipstream.demo.corpus.edits import live_edits
from slipstream.demo.editing import apply_edit, entities_of


def main() -> None:
    """Edit until killed, or until nobody reads the acknowledgements any more."""
    directory, seed = sys.argv[1], int(sys.argv[2])
    with open_pkg(directory) as slip:
        for edit in live_edits(entities_of(slip), seed):
            position = apply_edit(slip.pkg, edit)
            try:
                os.write(1, f"{position}\n".encode())
            except BrokenPipeError:  # the parent was interrupted: it is no longer interested
                return


if __name__ == "__main__":
    main()
