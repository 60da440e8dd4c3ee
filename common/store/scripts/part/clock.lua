-- The time of a step, and numbers as text: tostring keeps 14 digits only.
local call = redis.call
local time = call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function F(n) return string.format('%.0f', n) end
