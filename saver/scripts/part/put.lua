-- An entry at the end of a log. `a` is what an append says of it.
--
-- CONST TIME_FIELD_BYTES
-- PARTS entries

local function put(l, a, expires)
  local seq, told, size = l.head + 1, 0, #a.message
  if a.is_undated then told, size = 1, size + TIME_FIELD_BYTES end
  if a.ttl ~= 0 then told, size = told + 2, size + TIME_FIELD_BYTES end
  if a.names ~= '' then
    call('HSET', logs, field(l, 'n', seq), '1' .. a.names)
    l.named, told = l.named + 1, told + 4
  end
  if expires < l.top then
    add_odd(l, seq, expires)
    told = told + 8
  else
    l.top = expires
  end
  run_append(l)
  l.sum, l.bytes = l.sum + size, l.bytes + size
  call('HSET', logs, field(l, 'm', seq), pack(ENTRY, l.sum, expires, a.sent, size, told) .. a.message)
  if l.registered == 0 or expires < l.registered then register(l, expires) end
  if a.is_inbox then
    l.waiting, l.waiting_bytes = l.waiting + 1, l.waiting_bytes + size
    count('accepted', 1)
  else
    l.handled = l.head
    count('broadcasts', 1)
  end
end
