-- The row of a session, by incarnation and generation, as long as it is online: `at` is where it says so, `since` since when. The row is
-- another's, or over: `at` is nil.
--
-- PARTS row_format
local packed, offset, at, since = call('HGET', rows, user), 1, nil, nil
while packed and offset <= #packed do
  local began = offset
  local other, gen, _, of_inc, _, on, since_when
  other, gen, _, of_inc, _, on, since_when, _, _, _, offset = unpacked(ROW, packed, offset)
  if other == device then
    -- Behind the name: three numbers of 7 bytes, and the slot.
    if on == 1 and of_inc == inc and gen == generation then at, since = began + 1 + #device + 21 + 8, since_when end
    break
  end
end
