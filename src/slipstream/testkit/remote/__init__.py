"""
A graph database at the other end of a line, as unpleasant as one may be within the ports' words.

Read committed: a commit becomes visible piece by piece, entities first, then relationships, then the rows of its log,
those in any order. Others write beside it. Calls take time, fail now and then, and an answer may be lost although the
work was done. Everything is decided by one seed; used by one thread, the same seed gives the same run.
"""

from slipstream.testkit.remote.database import RemoteDatabase
from slipstream.testkit.remote.feed import RemoteFeed
from slipstream.testkit.remote.graph import RemoteGraph
from slipstream.testkit.remote.line import CALM, ROUGH, Trouble

__all__ = ["CALM", "ROUGH", "RemoteDatabase", "RemoteFeed", "RemoteGraph", "Trouble"]
