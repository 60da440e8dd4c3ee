-- Messages that had to leave an inbox for the one that is appended: the place of that append among those of the script, their seq, and why.
--
-- PARTS entries
local ended, place = {}, 0
local function tell_end(seq, reason)
  local n = #ended
  ended[n + 1], ended[n + 2], ended[n + 3] = place, seq, reason
end
