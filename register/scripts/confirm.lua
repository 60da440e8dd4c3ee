-- A room confirms a session that it holds. The script answers the outcome and the generation; when the row is written anew also what a
-- login answers of the row before, and the runs whose rows gave way. A session that lives has its place, so that none is refused.
--
-- KEYS rows: of the bucket, by user
-- ARGV user text: whose session it is
-- ARGV device text: likewise
-- ARGV room bytes: where it is
-- ARGV inc number: the room's incarnation
-- ARGV slot bytes: the session's there
-- ARGV gen number: the session's generation
-- ARGV since number ms: of the session, Unix time
-- ARGV address bytes: the client's
-- ARGV live bytes: incarnations of those that live, each between spaces
-- ARGV undead bytes: and of those that may come back, as view.lua answers them
-- ARGV login number: the generation that its login gave; 0 = the session's
-- ARGV max number: devices of the user
-- ARGV not_after number ms: the last moment to write the row, Unix time; 0 = none
-- CONST HELD = HAWSER__INTERNAL__CONFIRMED__CONFIRMED_HELD
-- CONST REWRITTEN = HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN
-- CONST SUPERSEDED = HAWSER__INTERNAL__CONFIRMED__CONFIRMED_SUPERSEDED
-- CONST UNDECIDED = HAWSER__INTERNAL__CONFIRMED__CONFIRMED_UNDECIDED
-- PARTS places
-- REPLY [in]|[innnnnsnssn*[*s]] outcome generation nothing was_online replaces before_inc before_slot before_generation before_room before_address before_since runs

local list = rows_of(call('HGET', rows, user))
local r, is_new = row_in(list, device)
if login == 0 then login = gen end
local own = r.inc == inc and r.slot == slot
local may_come_back = has(undead, r.inc) or undead:find(' * ', 1, true) and not undead:find(' -' .. F(r.inc) .. ' ', 1, true)
local is_live, below = has(live, r.inc), r.gen > gen and r.on == 1
if below and not own and r.login >= login and may_come_back then return {is_live and SUPERSEDED or UNDECIDED, r.gen} end
local was = {REWRITTEN, r.gen, 0, r.on, r.on == 1 and is_live and not own and 1 or 0, r.inc, r.slot, r.gen, r.room, r.address, r.since}
if below and own then return was end
if r.gen == gen and r.inc == inc then return {HELD, gen} end
if not_after ~= 0 and now > not_after then return {UNDECIDED, r.gen} end
if r.gen >= gen then gen = r.gen + 1 end
r.gen, r.room, r.inc, r.slot, r.since, r.address = gen, room, inc, slot, since, address
r.login, r.on, r.seen = login, 1, now
local gone, stay = {}, nil
if is_new then
  gone, stay = places(list, device, max, live)
  stay[#stay + 1] = r
  list = stay
end
save(list, is_new)
was[2] = gen
was[12] = runs_of(gone)
return was
