-- The time of a step, and numbers as text: tostring keeps 14 digits only.
--
-- PARTS now
local function F(n) return string.format('%.0f', n) end
