-- What a recall leaves of a message.
--
-- CONST GAP_RECALLED = HAWSER__V1__GAP_REASON__GAP_RECALLED
-- PARTS dead_letters

-- seq, when it was sent, its end
local RECALLED = '<I7I6I6'
local function recalled_key(name, id) return name .. '\0x' .. id end
local function keep_recalled(name, id, seq, sent, ends)
  local key = recalled_key(name, id)
  call('HSET', logs, key, pack(RECALLED, seq, sent, ends))
  call('ZADD', due, ends, 'x' .. key)
end
-- Its dead letter could be sent anew.
local function drop_recalled(l, seq)
  for i, d in ipairs(dead_letters_of(l)) do
    if d[1] == seq then
      forget_dead_letter(l, i)
      save_dead_letters(l)
      break
    end
  end
  drop(l, seq, GAP_RECALLED, 'recalled')
  l.change = (l.change + 1) % 4294967296
end
