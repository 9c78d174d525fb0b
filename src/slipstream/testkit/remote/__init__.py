"""
A graph database at the other end of a line, as difficult as the ports' contracts allow.

Read committed: a commit becomes visible piece by piece, entities first, then relationships, then the rows of its log
in any order. Other clients write at the same time. Calls take time, fail now and then, and an answer may be lost
although the work was done. One seed decides everything; with one thread, the same seed gives the same run.
"""

from slipstream.testkit.remote.database import RemoteDatabase
from slipstream.testkit.remote.feed import RemoteFeed
from slipstream.testkit.remote.graph import RemoteGraph
from slipstream.testkit.remote.line import CALM, ROUGH, Trouble

__all__ = ["CALM", "ROUGH", "RemoteDatabase", "RemoteFeed", "RemoteGraph", "Trouble"]
