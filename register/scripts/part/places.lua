-- Who gives way to one more device: those unseen for 30 days, and then the offline ones unseen longest.
--
-- PARTS rows

-- Answers them, those who stay, and whether there is a place.
local function places(device, max, live)
  local stay, offline = {}, {}
  local all = call('HGETALL', rows)
  for i = 1, #all, 2 do
    local r = all[i] ~= device and parse(all[i + 1])
    if r and r.on == '1' and has(live, r.inc) then
      stay[#stay + 1] = all[i]
    elseif r then
      offline[#offline + 1] = {all[i], r}
    end
  end
  table.sort(offline, function(a, b)
    if a[2].seen ~= b[2].seen then return a[2].seen < b[2].seen end
    return a[1] < b[1]
  end)
  local gone, count = {}, #stay + #offline
  for _, o in ipairs(offline) do
    if count >= max or o[2].seen + DEVICE_FORGOTTEN_MS < now then
      gone[#gone + 1] = o
      count = count - 1
    else
      stay[#stay + 1] = o[1]
    end
  end
  return gone, stay, count < max
end
-- Answers the runs that counted them as sessions.
local function let_go(gone)
  local runs = {}
  for _, o in ipairs(gone) do
    call('HDEL', rows, o[1])
    if o[2].on == '1' then runs[#runs + 1] = o[2].inc end
  end
  return runs
end
