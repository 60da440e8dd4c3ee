// The steps of the directory and the catalog, in Lua. KEYS[1] is "hw:{dir}", the front of all keys:
//   :h  hash: epochs and versions      :m  hash: member by incarnation
//   :v  zset: version by incarnation   :l  zset: end of its lease    :g  hash: "ended_ms clean"
//   :s  hash: what was told of it, when :p  hash: the run at a place
//   :c  hash: "version deleted value" by catalog key    :w  zset: version by catalog key
#include "redis_internal.h"

#define CLOCK                                                                                      \
    "local t = redis.call('TIME')\n"                                                               \
    "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"                                          \
    "local function s(n) return string.format('%.0f', n) end\n"                                    \
    "local K = KEYS[1]\n" LUA_GROW
#define GONE                                                                                       \
    "local function gone(inc, clean)\n"                                                            \
    "  redis.call('ZREM', K .. ':l', inc)\n"                                                       \
    "  redis.call('HSET', K .. ':g', inc, s(now) .. ' ' .. clean)\n"                               \
    "  redis.call('ZADD', K .. ':v', redis.call('HINCRBY', K .. ':h', 'dv', 1), inc)\n"            \
    "end\n"
#define EXPIRE                                                                                     \
    "for _, inc in ipairs(redis.call('ZRANGEBYSCORE', K .. ':l', '-inf', now)) do\n"               \
    "  gone(inc, '0')\n"                                                                           \
    "end\n"
// Leases and ends are put off by the time that nobody was here, or that the clock was set by.
#define PRESENCE                                                                                   \
    "local last = redis.call('HGET', K .. ':h', 'seen')\n"                                         \
    "local gap = last and now - tonumber(last) or 0\n"                                             \
    "if gap < 0 or gap > 2500 then\n"                                                              \
    "  for _, inc in ipairs(redis.call('ZRANGE', K .. ':l', 0, -1)) do\n"                          \
    "    redis.call('ZINCRBY', K .. ':l', s(gap), inc)\n"                                          \
    "  end\n"                                                                                      \
    "  local g = redis.call('HGETALL', K .. ':g')\n"                                               \
    "  for i = 1, #g, 2 do\n"                                                                      \
    "    local at, clean = g[i + 1]:match('^(%d+) (%d)$')\n"                                       \
    "    redis.call('HSET', K .. ':g', g[i], s(tonumber(at) + gap) .. ' ' .. clean)\n"             \
    "  end\n"                                                                                      \
    "end\n"                                                                                        \
    "if not last or gap < 0 or gap > 1000 then redis.call('HSET', K .. ':h', 'seen', s(now)) "     \
    "end\n"
// ARGV[1..3]: epochs for a store that has none, or is another run, ARGV[4], than before.
#define EPOCHS                                                                                     \
    PRESENCE "if redis.call('HGET', K .. ':h', 'run') ~= ARGV[4] then\n"                           \
             "  redis.call('HSET', K .. ':h', 'run', ARGV[4], 'de', ARGV[1], 'ce', ARGV[2],\n"     \
             "             'ie', ARGV[3], 'since', s(now))\n"                                      \
             "end\n"

// ARGV: epochs, run, incarnation, member, what of it is told at once, lease_ms, place, started_ms,
// after how many ms the rest is told. Answers the index epoch and the store's clock. Whoever comes
// where one was may come to a full server too.
const char register_script_announce[] = CLOCK
    "if redis.call('HEXISTS', K .. ':p', ARGV[9]) == 1 then no_growth() else grow() end\n" GONE
        EPOCHS EXPIRE "local inc, place = ARGV[5], ARGV[9]\n"
    "local old = redis.call('HGET', K .. ':p', place)\n"
    "if old then\n"
    "  local before, started = old:match('^(%d+) (%d+)$')\n"
    "  if before ~= inc and tonumber(started) <= tonumber(ARGV[10]) and\n"
    "     redis.call('ZSCORE', K .. ':l', before) then gone(before, '0') end\n"
    "end\n"
    "redis.call('HSET', K .. ':p', place, inc .. ' ' .. ARGV[10])\n"
    "local coarse, exact, told = string.match(redis.call('HGET', K .. ':s', inc) or '',\n"
    "  '^(%x+) (%x+) (%d+)$')\n"
    "local is = redis.sha1hex(ARGV[6])\n"
    "local since = now - (tonumber(told) or 0)\n"
    "local changed = coarse ~= ARGV[7] or not redis.call('ZSCORE', K .. ':l', inc) or\n"
    "  (exact ~= is and (since < 0 or since >= tonumber(ARGV[11])))\n"
    "redis.call('HSET', K .. ':m', inc, ARGV[6])\n"
    "redis.call('ZADD', K .. ':l', s(now + tonumber(ARGV[8])), inc)\n"
    "redis.call('HDEL', K .. ':g', inc)\n"
    "if changed then\n"
    "  redis.call('HSET', K .. ':s', inc, ARGV[7] .. ' ' .. is .. ' ' .. s(now))\n"
    "  redis.call('ZADD', K .. ':v', redis.call('HINCRBY', K .. ':h', 'dv', 1), inc)\n"
    "end\n"
    "return {redis.call('HGET', K .. ':h', 'ie'), s(now)}\n";

// ARGV: incarnation
const char register_script_withdraw[] =
    CLOCK GONE "no_growth()\n"
               "if redis.call('ZSCORE', K .. ':l', ARGV[1]) then gone(ARGV[1], '1') end\n"
               "return 1\n";

// ARGV: epochs, run, then the watcher's directory epoch and version, catalog epoch and version,
// bytes at most. Answers de dv ce cv ie whole_directory whole_catalog more {members} {gone, clean,
// ...} {key, "version deleted value", ...}.
const char register_script_watch[] = CLOCK
    "no_growth()\n" GONE EPOCHS EXPIRE "local g = redis.call('HGETALL', K .. ':g')\n"
    "local ended, forgotten = {}, false\n"
    "for i = 1, #g, 2 do\n"
    "  local at, clean = g[i + 1]:match('^(%d+) (%d)$')\n"
    "  if tonumber(at) + 300000 <= now then\n"
    "    redis.call('HDEL', K .. ':g', g[i])\n"
    "    redis.call('HDEL', K .. ':m', g[i])\n"
    "    redis.call('HDEL', K .. ':s', g[i])\n"
    "    redis.call('ZREM', K .. ':v', g[i])\n"
    "    forgotten = true\n"
    "  else ended[g[i]] = clean end\n"
    "end\n"
    "local p = forgotten and redis.call('HGETALL', K .. ':p') or {}\n"
    "for i = 1, #p, 2 do\n"
    "  local inc = p[i + 1]:match('^%d+') or '0'\n"
    "  if redis.call('HEXISTS', K .. ':m', inc) == 0 then redis.call('HDEL', K .. ':p', p[i]) end\n"
    "end\n"
    "local h = redis.call('HMGET', K .. ':h', 'de', 'dv', 'ce', 'cv', 'ie')\n"
    "local dw, cw = h[1] ~= ARGV[5], h[3] ~= ARGV[7]\n"
    "local members, over, entries, bytes, more, cv = {}, {}, {}, 0, 0, h[4] or '0'\n"
    "for _, inc in ipairs(redis.call('ZRANGEBYSCORE', K .. ':v', dw and '-inf' or '(' .. ARGV[6],\n"
    "                                '+inf')) do\n"
    "  if ended[inc] then\n"
    "    if not dw then over[#over + 1] = inc; over[#over + 1] = ended[inc] end\n"
    "  else members[#members + 1] = redis.call('HGET', K .. ':m', inc) end\n"
    "end\n"
    "for _, key in ipairs(redis.call('ZRANGEBYSCORE', K .. ':w', cw and '-inf' or '(' .. ARGV[8],\n"
    "                                '+inf')) do\n"
    "  if bytes > tonumber(ARGV[9]) then more = 1; break end\n"
    "  local v = redis.call('HGET', K .. ':c', key) or ''\n"
    "  bytes = bytes + #v + #key\n"
    "  entries[#entries + 1] = key; entries[#entries + 1] = v\n"
    "  cv = v:match('^(%d+) ') or cv\n"
    "end\n"
    "if more == 0 then cv = h[4] or '0' end\n"
    "return {h[1], h[2] or '0', h[3], cv, h[5], dw and 1 or 0, cw and 1 or 0, more, members, "
    "over,\n"
    "        entries}\n";

// ARGV: key, value, expected version, deleted. Answers conflict and the entry as it is now.
const char register_script_put[] =
    CLOCK "local v = redis.call('HGET', K .. ':c', ARGV[1])\n"
          "local version, deleted = string.match(v or '', '^(%d+) (%d) ')\n"
          "version, deleted = version or '0', deleted or '1'\n" // what is no record is no entry
          "if (deleted == '1' and '0' or version) ~= ARGV[3] then return {1, v or ''} end\n"
          "if ARGV[4] == '1' and v then no_growth() else grow() end\n"
          "local n = redis.call('HINCRBY', K .. ':h', 'cv', 1)\n"
          "v = s(n) .. ' ' .. ARGV[4] .. ' ' .. ARGV[2]\n"
          "redis.call('HSET', K .. ':c', ARGV[1], v)\n"
          "redis.call('ZADD', K .. ':w', n, ARGV[1])\n"
          "return {0, v}\n";

// ARGV: the second that numbers are counted from. Answers a number that no product had.
const char register_script_number[] =
    CLOCK "local n = tonumber(redis.call('HGET', K .. ':h', 'n') or 0) + 1\n"
          "n = math.max(n, math.floor(now / 1000) - tonumber(ARGV[1]))\n"
          "grow()\n"
          "redis.call('HSET', K .. ':h', 'n', s(n))\n"
          "return n\n";

// ARGV: key
const char register_script_get[] = "return redis.call('HGET', KEYS[1] .. ':c', ARGV[1]) or ''\n";

// ARGV: how long after its end a run may come back, ms. Answers {live} {not gone for good} now; "*"
// among the latter is any run but those behind a "-": a store that has just begun, or lost its
// directory, does not know who is gone.
const char register_script_view[] =
    CLOCK "no_growth()\n" PRESENCE "local live, undead = {}, {}\n"
          "local l = redis.call('ZRANGE', K .. ':l', 0, -1, 'WITHSCORES')\n"
          "for i = 1, #l, 2 do\n"
          "  if tonumber(l[i + 1]) > now then live[#live + 1] = l[i] end\n"
          "  undead[#undead + 1] = l[i]\n"
          "end\n"
          "local g = redis.call('HGETALL', K .. ':g')\n"
          "for i = 1, #g, 2 do\n"
          "  local at, clean = g[i + 1]:match('^(%d+) (%d)$')\n"
          "  if clean == '0' and tonumber(at) + tonumber(ARGV[1]) > now then\n"
          "    undead[#undead + 1] = g[i]\n"
          "  else undead[#undead + 1] = '-' .. g[i] end\n"
          "end\n"
          "local since = tonumber(redis.call('HGET', K .. ':h', 'since') or now)\n"
          "if since + tonumber(ARGV[1]) > now then undead[#undead + 1] = '*' end\n"
          "return {live, undead, s(now)}\n";
