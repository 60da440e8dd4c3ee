// The steps of sessions, in Lua. A row is eleven fields with a space between them, the last of
// which an older register does not write: generation incarnation slot online since seen
// window_start takeovers room address login
#include "redis_internal.h"

#define CLOCK                                                                                      \
    "local t = redis.call('TIME')\n"                                                               \
    "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"                                          \
    "local function s(n) return string.format('%.0f', n) end\n"
#define ROW                                                                                        \
    "local function get(device)\n"                                                                 \
    "  local v = redis.call('HGET', KEYS[1], device)\n"                                            \
    "  if not v then return {gen=0, inc='0', slot='0', on='0', since=0, seen=0, ws=0, n=0,\n"      \
    "                        room='', addr='', login=0} end\n"                                     \
    "  local g, i, sl, o, si, se, w, n, r, a, d =\n"                                               \
    "    v:match('^(%d+) (%d+) (%d+) (%d) (%d+) (%d+) (%d+) (%d+) (%S*) (%S*) ?(%d*)$')\n"         \
    "  return {gen=tonumber(g), inc=i, slot=sl, on=o, since=tonumber(si), seen=tonumber(se),\n"    \
    "          ws=tonumber(w), n=tonumber(n), room=r, addr=a ~= '-' and a or '', "                 \
    "login=tonumber(d) or tonumber(g)}\n"                                                          \
    "end\n"                                                                                        \
    "local function put(device, r)\n"                                                              \
    "  redis.call('HSET', KEYS[1], device, table.concat({s(r.gen), r.inc, r.slot, r.on,\n"         \
    "    s(r.since), s(r.seen), s(r.ws), s(r.n), r.room,\n"                                        \
    "    r.addr ~= '' and r.addr or '-', s(r.login)}, ' '))\n"                                     \
    "end\n"                                                                                        \
    "local function has(set, inc) return set:find(' ' .. inc .. ' ', 1, true) ~= nil end\n"

// ARGV: device room incarnation slot address not_after live. Answers refused, retry_after,
// generation, and of the row before: online, live, incarnation, slot, generation, room, address,
// since.
const char register_script_login[] =
    CLOCK ROW "local device, live = ARGV[1], ARGV[7]\n"
              "if ARGV[6] ~= '0' and now > tonumber(ARGV[6]) then return {4101, 0} end\n"
              "local r = get(device)\n"
              "local replaces = r.on == '1' and has(live, r.inc)\n"
              "if replaces then\n"
              "  if now < r.ws or now - r.ws >= 60000 then r.ws = now; r.n = 0 end\n"
              "  if r.n >= 5 then return {4103, s(r.ws + 60000 - now)} end\n"
              "  r.n = r.n + 1\n"
              "end\n"
              "local was = {0, 0, '', r.on, replaces and '1' or '0', r.inc, r.slot, s(r.gen), "
              "r.room, r.addr,\n"
              "             s(r.since)}\n"
              "r.gen = math.max(r.gen + 1, now)\n"
              "r.login = r.gen\n"
              "r.room, r.inc, r.slot, r.addr = ARGV[2], ARGV[3], ARGV[4], ARGV[5]\n"
              "r.since, r.seen, r.on = now, now, '1'\n"
              "put(device, r)\n"
              "was[3] = s(r.gen)\n"
              "return was\n";

// ARGV: device incarnation generation. Answers whether it was dropped.
const char register_script_drop[] =
    CLOCK ROW "local r = get(ARGV[1])\n"
              "if r.on ~= '1' or r.inc ~= ARGV[2] or s(r.gen) ~= ARGV[3] then return 0 end\n"
              "r.on, r.seen = '0', now\n"
              "put(ARGV[1], r)\n"
              "return 1\n";

// ARGV: device room incarnation slot generation since address live undead login. Answers outcome,
// generation; when it is written anew 0, and of the row before what a login answers.
const char register_script_confirm[] = CLOCK ROW
    "local r = get(ARGV[1])\n"
    "local gen, login = tonumber(ARGV[5]), tonumber(ARGV[10])\n"
    "if login == 0 then login = gen end\n"
    "local own = r.inc == ARGV[3] and r.slot == ARGV[4]\n"
    "local undead = has(ARGV[9], r.inc) or\n"
    "  (has(ARGV[9], '*') and not has(ARGV[9], '-' .. r.inc))\n"
    "local live, below = has(ARGV[8], r.inc), r.gen > gen and r.on == '1'\n"
    "if below and not own and r.login >= login and undead then\n"
    "  return {live and 2 or 3, s(r.gen)}\n"
    "end\n"
    "local was = {1, s(r.gen), 0, r.on, r.on == '1' and live and not own and '1' or '0', r.inc,\n"
    "             r.slot, s(r.gen), r.room, r.addr, s(r.since)}\n"
    "if below and own then return was end\n"
    "if r.gen == gen and r.inc == ARGV[3] then\n"
    "  if r.on == '1' then r.seen = now; put(ARGV[1], r) end\n"
    "  return {0, s(gen)}\n"
    "end\n"
    "if r.gen >= gen then gen = r.gen + 1 end\n"
    "r.gen, r.room, r.inc, r.slot, r.since, r.addr = gen, ARGV[2], ARGV[3], ARGV[4],\n"
    "  tonumber(ARGV[6]), ARGV[7]\n"
    "r.login, r.on, r.seen = login, '1', now\n"
    "put(ARGV[1], r)\n"
    "was[2] = s(gen)\n"
    "return was\n";
