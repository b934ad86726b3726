"""The scripts of a link in Redis: what must be done in one piece. All keys of each are in one slot.

`P` is the prefix, `rc:` unless another one is given:

    P{RUN}log        stream   id = end of the bytes, fields d (bytes), i (index records), s (start, of gaps)
    P{RUN}run        hash     request, host, key, tail, first, fence, state, progress, outcome
    P{RUN}           channel  a message when either changes: `d` for bytes, and few of them with it
                              (redis_pushed.py), empty for the hash
    Pruns            sorted set of all ids, by name; and a channel
    Pkey:HASH        string   the run that has the key
    Phosts           sorted set of hosts, by when their lease ends, in ms
    Phost:{HOST}     string   who holds the lease; gone when it is over
    Pask:{HOST}      list     deadline, ticket and request of each question; and a channel
    Panswer:{LINK}   list     ticket and answer; and a channel
    Pepoch           hash     name: the engine's; servers: the processes that serve; since: when these began;
                              version: of all of this
"""

from __future__ import annotations

from runcast.link.redis_pushed import PUSHED_BYTES

try:  # `random` of the standard library does the same: hashlib loads OpenSSL, 4 MB of each agent
    from _sha1 import sha1  # type: ignore[import-not-found]
except ImportError:
    from hashlib import sha1

__all__ = ["FENCED", "NO_RUN", "SCRIPTS", "TAKEN", "VERSION", "Script"]

VERSION = 1
"""Of what is called how: another one is another link."""
NO_RUN, FENCED, TAKEN, OTHER = range(4)
"""What scripts reply."""

_NOW = "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"


class Script:
    """A script of Lua: sent by its digest, as a whole only to a server that has not seen it.

    Args:
        text: the script.
        small: it may write though the server is full. Hosts that cannot say that they are here would be
            taken for lost ones, and who floods a server could not be stopped.
    """

    def __init__(self, text: str, *, small: bool = False) -> None:
        self.text = f"#!lua flags=allow-oom\n{text}" if small else text
        self.digest = sha1(self.text.encode(), usedforsecurity=False).hexdigest()


EPOCH = Script(
    _NOW
    + """
local h = redis.pcall('HMGET', KEYS[1], 'name', 'servers', 'since', 'version')
if h.err then return {'', '0', 'another one'} end
if h[4] and h[4] ~= ARGV[3] then return {'', '0', h[4]} end
if not h[4] then redis.call('HSET', KEYS[1], 'version', ARGV[3]) end
if not h[1] or h[2] ~= ARGV[2] then
  h = {h[1] or ARGV[1], ARGV[2], now}
  redis.call('HSET', KEYS[1], 'name', h[1], 'servers', h[2], 'since', string.format('%.0f', now))
end
return {h[1], string.format('%.0f', now - h[3]), ARGV[3]}
""",
    small=True,
)


CREATE = Script("""
if redis.call('HEXISTS', KEYS[1], 'tail') == 1 then return 0 end
redis.call('HSET', KEYS[1], 'request', ARGV[1], 'host', ARGV[2], 'key', ARGV[3],
  'tail', 0, 'first', 0, 'fence', 0)
redis.call('SPUBLISH', ARGV[4], '')
return 1
""")
PUT = Script(
    """
local h = redis.call('HMGET', KEYS[2], 'tail', 'outcome')
if not h[1] then return 0 end
if h[2] then return 1 end
if h[1] ~= ARGV[1] then return h[1] end
if ARGV[3] == '' then
  redis.call('XADD', KEYS[1], ARGV[2] .. '-0', 'd', '', 'i', ARGV[4], 's', ARGV[1])
else
  redis.call('XADD', KEYS[1], ARGV[2] .. '-0', 'd', ARGV[3], 'i', ARGV[4])
end
redis.call('HSET', KEYS[2], 'tail', ARGV[2])
local said = 'd'
if ARGV[3] ~= '' and #ARGV[3] + #ARGV[4] <= PUSHED then
  said = said .. ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. #ARGV[3] .. ' ' .. ARGV[3] .. ARGV[4]
end
redis.call('SPUBLISH', ARGV[5], said)
return 2
""".replace("PUSHED", str(PUSHED_BYTES))
)
TELL = Script("""
local h = redis.call('HMGET', KEYS[1], 'tail', 'fence', 'outcome')
if not h[1] then return 0 end
if h[2] ~= '0' then return 1 end
if ARGV[1] == 'outcome' and h[3] then
  if h[3] == ARGV[2] then return 2 end
  return 3
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('SPUBLISH', ARGV[3], '')
return 2
""")
LOSE = Script("""
local h = redis.call('HMGET', KEYS[1], 'tail', 'outcome')
if not h[1] then return 0 end
if h[2] then return 3 end
redis.call('HSET', KEYS[1], 'outcome', ARGV[1])
redis.call('HINCRBY', KEYS[1], 'fence', 1)
redis.call('SPUBLISH', ARGV[2], '')
return 2
""")
TRIM = Script("""
local first = redis.call('HGET', KEYS[2], 'first')
if not first then return false end
local last = redis.call('XREVRANGE', KEYS[1], ARGV[1], '-', 'COUNT', 1)[1]
if last then
  first = string.match(last[1], '%d+')
  redis.call('XTRIM', KEYS[1], 'MINID', ARGV[2])
  redis.call('HSET', KEYS[2], 'first', first)
end
return first
""")
DROP = Script("""
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('SPUBLISH', ARGV[1], '')
""")
FREE = Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
""")
LEASE = Script(
    """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 1 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 2
""",
    small=True,
)
NOTE_LEASE = Script(
    _NOW
    + """
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - ARGV[3]))
""",
    small=True,
)
LEASES = Script(
    _NOW
    + """
return {string.format('%.0f', now), redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')}
"""
)
ASK = Script(
    _NOW
    + """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if tonumber(ARGV[3]) <= now then return 3 end
redis.call('RPUSH', KEYS[2], ARGV[3], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], 3600000)
redis.call('SPUBLISH', ARGV[4], '')
return 2
""",
    small=True,
)
ASKS = Script(
    _NOW
    + """
local found = {}
local all = redis.call('LPOP', KEYS[1], 192) or {}
for n = 1, #all, 3 do
  if tonumber(all[n]) > now then
    found[#found + 1] = all[n + 1]
    found[#found + 1] = all[n + 2]
  end
end
return found
"""
)
ANSWER = Script(
    """
redis.call('RPUSH', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], 60000)
redis.call('SPUBLISH', ARGV[3], '')
""",
    small=True,
)

SCRIPTS = {value.digest: value.text for value in list(globals().values()) if isinstance(value, Script)}
"""By digest, for servers that have not seen them."""
