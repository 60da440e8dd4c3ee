-- What is newer than a watcher knows. The script answers versions, whether each of the two is told whole, whether there is more, the
-- members, who is gone ("incarnation", "clean"), and the catalog's entries ("key", "version deleted value").
--
-- KEYS dir: the front of all keys of the directory and the catalog
-- ARGV directory_epoch digits: if it is another history
-- ARGV catalog_epoch digits: likewise
-- ARGV index_epoch digits: likewise
-- ARGV seen_directory digits: the watcher's epoch
-- ARGV seen_version digits: and version of the directory
-- ARGV seen_catalog digits: the watcher's epoch
-- ARGV seen_entries digits: and version of the catalog
-- CONST TOMBSTONE_MS
-- CONST WATCH_BYTES_MAX
-- PARTS epochs memory
-- REPLY [nnnnniii[*s][*nn][*ss]] directory_epoch directory_version catalog_epoch catalog_version index_epoch directory_whole catalog_whole more members gone entries

no_growth()
note_presence()
take_epochs()
expire()
local g = call('HGETALL', dir .. ':g')
local ended, forgotten = {}, false
for i = 1, #g, 2 do
  local at, clean = g[i + 1]:match('^(%d+) (%d)$')
  if tonumber(at) + TOMBSTONE_MS <= now then
    call('HDEL', dir .. ':g', g[i])
    call('HDEL', dir .. ':m', g[i])
    call('HDEL', dir .. ':s', g[i])
    call('ZREM', dir .. ':v', g[i])
    forgotten = true
  else
    ended[g[i]] = clean
  end
end
local p = forgotten and call('HGETALL', dir .. ':p') or {}
for i = 1, #p, 2 do
  local inc = p[i + 1]:match('^%d+') or '0'
  if call('HEXISTS', dir .. ':m', inc) == 0 then call('HDEL', dir .. ':p', p[i]) end
end
local h = call('HMGET', dir .. ':h', 'de', 'dv', 'ce', 'cv', 'ie')
local directory_whole, catalog_whole = h[1] ~= seen_directory, h[3] ~= seen_catalog
local members, over, entries, bytes, more, cv = {}, {}, {}, 0, 0, h[4] or '0'
local newer = directory_whole and '-inf' or '(' .. seen_version
for _, inc in ipairs(call('ZRANGEBYSCORE', dir .. ':v', newer, '+inf')) do
  if not ended[inc] then
    members[#members + 1] = call('HGET', dir .. ':m', inc)
  elseif not directory_whole then
    over[#over + 1] = inc
    over[#over + 1] = ended[inc]
  end
end
newer = catalog_whole and '-inf' or '(' .. seen_entries
local w = call('ZRANGEBYSCORE', dir .. ':w', newer, '+inf', 'WITHSCORES')
for i = 1, #w, 2 do
  if bytes > WATCH_BYTES_MAX then
    more = 1
    break
  end
  local v = call('HGET', dir .. ':c', w[i]) or ''
  bytes = bytes + #v + #w[i]
  entries[#entries + 1] = w[i]
  entries[#entries + 1] = v
  cv = w[i + 1]
end
if more == 0 then cv = h[4] or '0' end
return {h[1], h[2] or '0', h[3], cv, h[5], directory_whole and 1 or 0, catalog_whole and 1 or 0, more, members, over, entries}
