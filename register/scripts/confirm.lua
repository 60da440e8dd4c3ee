-- A room confirms a session that it holds. The script answers the outcome and the generation; when the row is written anew also what a
-- login answers of the row before, and the runs whose rows gave way. A session that lives has its place, so that none is refused.
--
-- KEYS rows: the user's, by device
-- ARGV device text: whose session it is
-- ARGV room text: where it is
-- ARGV inc digits: the room's incarnation
-- ARGV slot digits: the session's there
-- ARGV gen number: the session's generation
-- ARGV since number ms: of the session, Unix time
-- ARGV address text: the client's
-- ARGV live bytes: incarnations of those that live, each between spaces
-- ARGV undead bytes: and of those that may come back, as view.lua answers them
-- ARGV login number: the generation that its login gave; 0 = the session's
-- ARGV max number: devices of the user
-- CONST HELD = HAWSER__INTERNAL__CONFIRMED__CONFIRMED_HELD
-- CONST REWRITTEN = HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN
-- CONST SUPERSEDED = HAWSER__INTERNAL__CONFIRMED__CONFIRMED_SUPERSEDED
-- CONST UNDECIDED = HAWSER__INTERNAL__CONFIRMED__CONFIRMED_UNDECIDED
-- PARTS places
-- REPLY [is]|[isissssssss*[*s]] outcome generation nothing was_online replaces before_inc before_slot before_generation before_room before_address before_since runs

local r, is_new = get(device)
if login == 0 then login = gen end
local own = r.inc == inc and r.slot == slot
local may_come_back = has(undead, r.inc) or (has(undead, '*') and not has(undead, '-' .. r.inc))
local is_live, below = has(live, r.inc), r.gen > gen and r.on == '1'
if below and not own and r.login >= login and may_come_back then
  return {is_live and SUPERSEDED or UNDECIDED, F(r.gen)}
end
local was = {REWRITTEN, F(r.gen), 0, r.on, r.on == '1' and is_live and not own and '1' or '0', r.inc, r.slot, F(r.gen), r.room, r.addr,
  F(r.since)}
if below and own then return was end
if r.gen == gen and r.inc == inc then
  if r.on == '1' then
    r.seen = now
    put(device, r)
  end
  return {HELD, F(gen)}
end
if r.gen >= gen then gen = r.gen + 1 end
r.gen, r.room, r.inc, r.slot, r.since, r.addr = gen, room, inc, slot, since, address
r.login, r.on, r.seen = login, '1', now
local gone = is_new and places(device, max, live) or {}
put(device, r)
was[2] = F(gen)
was[12] = let_go(gone)
return was
