"""
Tools for agents, by the Model Context Protocol: over stdio (`slipstream mcp`) and as `/mcp` of the server.

The tools themselves (`tools`, `reading`, `writing`) know any open PKG and no protocol; `serving`, `stdio` and
`routes` bring them to the SDK, which is imported there and nowhere else. May touch: app.
"""
