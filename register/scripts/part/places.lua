-- Who gives way to one more device: those unseen for 30 days, and then the offline ones unseen longest.
--
-- CONST DEVICE_FORGOTTEN_MS
-- PARTS rows

-- Answers them, those who stay, and whether there is a place.
local function places(list, device, max, live)
  local stay, offline = {}, {}
  for _, r in ipairs(list) do
    if r.device ~= device and r.on == 1 and has(live, r.inc) then
      stay[#stay + 1] = r
    elseif r.device ~= device then
      offline[#offline + 1] = r
    end
  end
  table.sort(offline, function(a, b)
    if a.seen ~= b.seen then return a.seen < b.seen end
    return a.device < b.device
  end)
  local gone, count = {}, #stay + #offline
  for _, r in ipairs(offline) do
    if count >= max or r.seen + DEVICE_FORGOTTEN_MS < now then
      gone[#gone + 1] = r
      count = count - 1
    else
      stay[#stay + 1] = r
    end
  end
  return gone, stay, count < max
end
-- The runs that counted them as sessions.
local function runs_of(gone)
  local runs = {}
  for _, r in ipairs(gone) do
    if r.on == 1 then runs[#runs + 1] = F(r.inc) end
  end
  return runs
end
