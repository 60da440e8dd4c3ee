// The steps of sessions, in Lua. KEYS[1] holds a user's rows by device. A row is eleven fields with
// a space between them, the last of which an older register does not write: generation incarnation
// slot online since seen 0 0 room address login. KEYS[2], of logins and takeovers, holds the
// moments of the last takeovers by device, the newest first; it ends with its user's last minute.
//
// put() asks whether there is memory, so it comes before what lets go.
#include "redis_internal.h"

#define CLOCK                                                                                      \
    "local t = redis.call('TIME')\n"                                                               \
    "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"                                          \
    "local function s(n) return string.format('%.0f', n) end\n"
#define ROW                                                                                        \
    LUA_GROW                                                                                       \
    "local function parse(v)\n"                                                                    \
    "  local g, i, sl, o, si, se, r, a, d = (v or ''):match(\n"                                    \
    "    '^(%d+) (%d+) (%d+) (%d) (%d+) (%d+) %d+ %d+ (%S*) (%S*) ?(%d*)$')\n"                     \
    "  if not g then\n"                                                                            \
    "    return {gen=0, inc='0', slot='0', on='0', since=0, seen=0, room='', addr='', login=0}\n"  \
    "  end\n"                                                                                      \
    "  return {gen=tonumber(g), inc=i, slot=sl, on=o, since=tonumber(si), seen=tonumber(se),\n"    \
    "          room=r, addr=a ~= '-' and a or '', login=tonumber(d) or tonumber(g)}\n"             \
    "end\n"                                                                                        \
    "local function get(device)\n"                                                                 \
    "  local v = redis.call('HGET', KEYS[1], device)\n"                                            \
    "  return parse(v), not v\n"                                                                   \
    "end\n"                                                                                        \
    "local function put(device, r)\n"                                                              \
    "  if redis.call('HEXISTS', KEYS[1], device) == 1 then no_growth() else grow() end\n"          \
    "  redis.call('HSET', KEYS[1], device, table.concat({s(r.gen), r.inc, r.slot, r.on,\n"         \
    "    s(r.since), s(r.seen), '0', '0', r.room,\n"                                               \
    "    r.addr ~= '' and r.addr or '-', s(r.login)}, ' '))\n"                                     \
    "  redis.call('PEXPIRE', KEYS[1], 2592000000)\n"                                               \
    "end\n"                                                                                        \
    "local function has(set, inc) return set:find(' ' .. inc .. ' ', 1, true) ~= nil end\n"
// Who gives way to one more device: those unseen for 30 days, and then the offline ones unseen
// longest. Answers them, those who stay, and whether there is a place.
#define PLACES                                                                                     \
    "local function places(device, max, live)\n"                                                   \
    "  local stay, offline = {}, {}\n"                                                             \
    "  local all = redis.call('HGETALL', KEYS[1])\n"                                               \
    "  for i = 1, #all, 2 do\n"                                                                    \
    "    local r = all[i] ~= device and parse(all[i + 1])\n"                                       \
    "    if r and r.on == '1' and has(live, r.inc) then stay[#stay + 1] = all[i]\n"                \
    "    elseif r then offline[#offline + 1] = {all[i], r} end\n"                                  \
    "  end\n"                                                                                      \
    "  table.sort(offline, function(a, b)\n"                                                       \
    "    if a[2].seen ~= b[2].seen then return a[2].seen < b[2].seen end\n"                        \
    "    return a[1] < b[1]\n"                                                                     \
    "  end)\n"                                                                                     \
    "  local gone, count = {}, #stay + #offline\n"                                                 \
    "  for _, o in ipairs(offline) do\n"                                                           \
    "    if count >= max or o[2].seen + 2592000000 < now then\n"                                   \
    "      gone[#gone + 1] = o\n"                                                                  \
    "      count = count - 1\n"                                                                    \
    "    else stay[#stay + 1] = o[1] end\n"                                                        \
    "  end\n"                                                                                      \
    "  return gone, stay, count < max\n"                                                           \
    "end\n"                                                                                        \
    "local function let_go(gone)\n" /* answers the runs that counted them as sessions */           \
    "  local runs = {}\n"                                                                          \
    "  for _, o in ipairs(gone) do\n"                                                              \
    "    redis.call('HDEL', KEYS[1], o[1])\n"                                                      \
    "    if o[2].on == '1' then runs[#runs + 1] = o[2].inc end\n"                                  \
    "  end\n"                                                                                      \
    "  return runs\n"                                                                              \
    "end\n"

// ARGV: device room incarnation slot address not_after live devices_max. Answers refused,
// retry_after, generation, and of the row before: online, live, incarnation, slot, generation,
// room, address, since; then the runs whose rows gave way, and all devices if this one is new.
// Refused for the devices it answers 1 for the generation.
const char register_script_login[] = CLOCK ROW PLACES
    "local device, live, max = ARGV[1], ARGV[7], tonumber(ARGV[8])\n"
    "if ARGV[6] ~= '0' and now > tonumber(ARGV[6]) then return {4101, 0} end\n"
    "local r, is_new = get(device)\n"
    "local gone, stay, has_place = {}, {}, true\n"
    "if is_new or redis.call('HLEN', KEYS[1]) > max then\n"
    "  gone, stay, has_place = places(device, max, live)\n"
    "end\n"
    "if is_new and not has_place then return {4103, 0, 1} end\n"
    "local replaces = r.on == '1' and has(live, r.inc)\n"
    "if replaces then\n"
    "  local fifth = (redis.call('HGET', KEYS[2], device) or ''):match('^%d+ %d+ %d+ %d+ (%d+)$')\n"
    "  local over = fifth and tonumber(fifth) + 60000 or now\n"
    "  if over > now and over <= now + 60000 then return {4103, s(over - now), 0} end\n"
    "end\n"
    "local was = {0, 0, '', r.on, replaces and '1' or '0', r.inc, r.slot, s(r.gen), r.room, "
    "r.addr,\n"
    "             s(r.since)}\n"
    "r.gen = math.max(r.gen + 1, now)\n"
    "r.login = r.gen\n"
    "r.room, r.inc, r.slot, r.addr = ARGV[2], ARGV[3], ARGV[4], ARGV[5]\n"
    "r.since, r.seen, r.on = now, now, '1'\n"
    "put(device, r)\n"
    "was[3] = s(r.gen)\n"
    "was[12] = let_go(gone)\n"
    "if is_new then stay[#stay + 1] = device else stay = {} end\n"
    "was[13] = stay\n"
    "return was\n";

// ARGV: device. The last five takeovers are all that a login asks for.
const char register_script_takeover[] =
    CLOCK "if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end\n"
          "local at, n = s(now), 1\n"
          "for before in (redis.call('HGET', KEYS[2], ARGV[1]) or ''):gmatch('%d+') do\n"
          "  n = n + 1\n"
          "  if n <= 5 then at = at .. ' ' .. before end\n"
          "end\n"
          "redis.call('HSET', KEYS[2], ARGV[1], at)\n"
          "redis.call('PEXPIRE', KEYS[2], 60000)\n"
          "return 1\n";

// ARGV: device incarnation generation. Answers whether it was dropped.
const char register_script_drop[] =
    CLOCK ROW "local r = get(ARGV[1])\n"
              "if r.on ~= '1' or r.inc ~= ARGV[2] or s(r.gen) ~= ARGV[3] then return 0 end\n"
              "r.on, r.seen = '0', now\n"
              "put(ARGV[1], r)\n"
              "return 1\n";

// ARGV: device room incarnation slot generation since address live undead login devices_max.
// Answers outcome, generation; when it is written anew 0, and of the row before what a login
// answers, and the runs whose rows gave way. A session that lives has its place, so that none is
// refused.
const char register_script_confirm[] = CLOCK ROW PLACES
    "local r, is_new = get(ARGV[1])\n"
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
    "local gone = is_new and places(ARGV[1], tonumber(ARGV[11]), ARGV[8]) or {}\n"
    "put(ARGV[1], r)\n"
    "was[2] = s(gen)\n"
    "was[12] = let_go(gone)\n"
    "return was\n";
