"""How bytes travel: HTTP/1.1 server side and upstream client on asyncio and httptools."""
