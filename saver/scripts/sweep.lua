-- The sweep of one bucket. The script answers how much was due.
--
-- KEYS base: the front of the bucket's keys
-- ARGV max number: of what is due, and of a log's entries, at most
-- PARTS sweep_next dead_letters
-- REPLY i

-- What is due in this bucket, some of it; returns how much it was.
local function purge()
  local list, done = call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, max), 0
  for _, member in ipairs(list) do
    local kind, name = string.sub(member, 1, 1), string.sub(member, 2)
    local l = kind == 'l' and open(name)
    if l then
      done = done + expire(l, max)
    elseif kind == 'k' then
      forget_id(name)
    elseif kind == 'd' then
      done = done + dead_letters_end(name)
    else
      call('ZREM', due, member)
      if kind == 'x' then call('HDEL', logs, name) end
      if kind == 'i' then call('UNLINK', base .. 'i:' .. name) end
    end
  end
  return done + #list
end
no_growth()
local done = purge()
finish()
return done
